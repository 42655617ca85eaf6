/*
 * A directory of key files, for the tests of key files and key sets.
 */
#ifndef RRDNS_TESTS_KEY_AID_H
#define RRDNS_TESTS_KEY_AID_H

#include <stddef.h>

#include "base/diag.h"

/* The directory; made before each test, removed after. */
extern char key_directory[64];
void key_directory_make(void);
void key_directory_remove(void);

/* A path in it; lasts for the next 7 calls. */
const char *key_path(const char *file);
void key_write(const char *file, const char *text, unsigned mode);
/* The whole file; to be freed. */
char *key_read(const char *file);

/* Compares all lines of diag, "warning: " before warnings, "DIR" for the directory; clears it. */
void key_expect_diag(struct diag *diag, const char *expected);

/* Whether a program is there; and its run, for which the exit status is 0 (else the test fails). */
int key_has_program(const char *name);
void key_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
