/*
 * What a server answers to rrdnsctl, as text for people.
 */
#ifndef RRDNS_DAEMON_CTL_TEXT_H
#define RRDNS_DAEMON_CTL_TEXT_H

#include <stdio.h>

#include <jansson.h>

/*
 * Prints the result of a command that the server has done: to out, but for the reasons why zones
 * failed, which go to err. Fields that are missing (an older server) are left out.
 */
void ctl_text_result(const char *command, const json_t *result, FILE *out, FILE *err);

/* Prints why the server refused: its error, then each fault. */
void ctl_text_refusal(const json_t *answer, FILE *err);

#endif
