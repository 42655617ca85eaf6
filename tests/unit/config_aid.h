/*
 * What tests of the configuration share: text taken or refused, with every line that is told.
 */
#ifndef RRDNS_TESTS_CONFIG_AID_H
#define RRDNS_TESTS_CONFIG_AID_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/config.h"

/* Every line of diag in one text, warnings after "warning: "; to be freed. */
static inline char *all_lines(const struct diag *diag)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < diag->kept; i++) {
        fprintf(out, "%s%s\n",
                diag->entries[i].severity == DIAG_FAULT ? "" : "warning: ", diag->entries[i].text);
    }
    fclose(out);
    return text;
}

static inline int parse(const char *text, struct config **config, struct diag *diag)
{
    return config_parse("rrdns.json", text, strlen(text), NULL, config, diag);
}

/* A configuration without a fault or warning. */
static inline struct config *good(const char *text)
{
    struct config *config = NULL;
    struct diag diag = {0};
    int error = parse(text, &config, &diag);
    char *lines = all_lines(&diag);
    ck_assert_str_eq(lines, "");
    ck_assert_int_eq(error, RR_OK);
    free(lines);
    diag_clear(&diag);
    return config;
}

static inline void bad(const char *text, const char *expected)
{
    struct config *config = NULL;
    struct diag diag = {0};
    int error = parse(text, &config, &diag);
    char *lines = all_lines(&diag);
    ck_assert_str_eq(lines, expected);
    ck_assert_int_eq(error, RR_EINVAL);
    ck_assert_ptr_null(config);
    free(lines);
    diag_clear(&diag);
}

static char directory[64];

static inline void make_directory(void)
{
    strcpy(directory, "/tmp/rrdns-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static inline void remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static inline const char *in_directory(const char *file)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return path;
}

static inline void write_file(const char *file, const char *text)
{
    FILE *out = fopen(in_directory(file), "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

#endif
