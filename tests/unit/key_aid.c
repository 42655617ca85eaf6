#include "key_aid.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char key_directory[64];

void key_directory_make(void)
{
    strcpy(key_directory, "/tmp/rrdns-keys-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(key_directory));
}

void key_directory_remove(void)
{
    key_command("rm -rf %s", key_directory);
}

const char *key_path(const char *file)
{
    static char paths[8][1200];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", key_directory, file);
    return path;
}

void key_write(const char *file, const char *text, unsigned mode)
{
    const char *path = key_path(file);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

char *key_read(const char *file)
{
    enum { ROOM = 1 << 16 };
    FILE *in = fopen(key_path(file), "r");
    char *text = calloc(1, ROOM);
    ck_assert_msg(in != NULL, "no file %s", file);
    ck_assert_uint_lt(fread(text, 1, ROOM - 1, in), ROOM - 1);
    fclose(in);
    return text;
}

void key_expect_diag(struct diag *diag, const char *expected)
{
    char *text;
    size_t size, length = strlen(key_directory);
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < diag->kept; i++) {
        const char *line = diag->entries[i].text;
        fputs(diag->entries[i].severity == DIAG_FAULT ? "" : "warning: ", out);
        if (length > 0 && strncmp(line, key_directory, length) == 0) {
            fputs("DIR", out);
            line += length;
        }
        fprintf(out, "%s\n", line);
    }
    fclose(out);
    ck_assert_str_eq(text, expected);
    free(text);
    diag_clear(diag);
}

int key_has_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

void key_command(const char *format, ...)
{
    char command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "failed: %s", command);
}
