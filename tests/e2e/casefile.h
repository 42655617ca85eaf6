/*
 * Case files (cases/NAME.case) as structures. What they look like is told at the top of
 * test_cases.c.
 */
#ifndef E2E_CASEFILE_H
#define E2E_CASEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum transport { UDP4, UDP6, TCP4, TCP6, TRANSPORTS };

struct strings {
    char **text;
    size_t count;
};

struct case_zone {
    char *name;
    char *text;
    bool broken; /* must not load; the others must */
};

struct expected_option {
    uint16_t code;
    long number; /* EDE's code, keepalive's time */
    char *text;  /* NSID, EDE's text; NULL: any */
};

struct expected_count {
    char *counter;
    int64_t delta;
};

enum cookie_use { COOKIE_NONE, COOKIE_FRESH, COOKIE_LAST, COOKIE_FORGED };

struct test_case {
    char *title;
    unsigned line;
    struct case_file *file;

    bool raw; /* send: the octets in message */
    uint8_t *message;
    size_t message_size;
    struct query_spec query; /* ask */
    enum cookie_use cookie;
    bool over[TRANSPORTS];
    unsigned repeat;

    bool silent; /* reply none */
    unsigned rcode;
    uint16_t flags;      /* AA TC RD RA AD CD, as they are to be */
    int opcode;          /* -1: the query's */
    bool question_given; /* question NAME TYPE CLASS, or none (question_size 0) */
    uint8_t question[PACKET_NAME_MAX + 4];
    size_t question_size;
    struct strings section[SECTIONS];
    bool ordered;
    long records[SECTIONS]; /* "answer N records": only their number is looked at; -1: as listed */
    size_t size;            /* 0: not looked at */
    int edns;               /* -1: as the query; 0: none; 1: there */
    struct expected_option options[8];
    size_t options_count;
    struct expected_count counts[16];
    size_t counts_count;
};

struct case_file {
    char *path;
    char *name;   /* without folder and ".case" */
    char *server; /* JSON put over the configuration, or NULL */
    struct case_zone *zones;
    size_t zones_count;
    struct test_case *cases;
    size_t cases_count;
    char *fault; /* NULL, or why it can't be read: "file:line: reason" */
};

/* Reads a file. Never fails: see fault. */
struct case_file *case_file_read(const char *path);
void case_file_free(struct case_file *file);

#endif
