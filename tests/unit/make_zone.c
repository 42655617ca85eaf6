#include "make_zone.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/wire.h"
#include "names.h"
#include "zone/zone_build.h"

void make_record(struct records *records, const uint8_t *owner, uint16_t type, uint32_t ttl,
                 const void *rdata, size_t size, uint32_t file, uint32_t line)
{
    ck_assert_int_eq(records_owner(records, owner), RR_OK);
    if (size > 0) {
        memcpy(records_room(), rdata, size);
    }
    ck_assert_int_eq(records_add(records, type, ttl, size, file, line), RR_OK);
}

static void add_line(struct records *records, ldns_rdf *origin, const char *text, uint32_t file,
                     uint32_t line)
{
    ldns_rr *rr = NULL;
    ldns_status status = ldns_rr_new_frm_str(&rr, text, 3600, origin, NULL);
    ck_assert_msg(status == LDNS_STATUS_OK, "%s: %s", ldns_get_errorstr_by_id(status), text);
    uint8_t *wire;
    size_t size;
    ck_assert_int_eq(ldns_rr2wire(&wire, rr, LDNS_SECTION_ANSWER, &size), LDNS_STATUS_OK);
    size_t name = names_size(wire);
    uint16_t type = wire_get_u16(wire + name);
    uint32_t ttl = wire_get_u32(wire + name + 4);
    make_record(records, wire, type, ttl, wire + name + 10, size - name - 10, file, line);
    free(wire);
    ldns_rr_free(rr);
}

static uint32_t file_index(struct records *records, const char **names, uint32_t *count,
                           const char *name)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    ck_assert_uint_lt(*count, 8);
    ck_assert_uint_eq(records_file(records, name), *count);
    names[*count] = strdup(name);
    return (*count)++;
}

void make_records(struct records *records, const char *apex, const char *text)
{
    const char *files[8];
    uint32_t count = 0, line = 1;
    uint32_t file = file_index(records, files, &count, "zone");
    ldns_rdf *origin = ldns_dname_new_frm_str(apex);
    char *copy = strdup(text), *rest = copy, *entry;
    while ((entry = strsep(&rest, "\n")) != NULL) {
        char name[64];
        if (sscanf(entry, "$FILE %63s %u", name, &line) == 2) {
            file = file_index(records, files, &count, name);
            continue;
        }
        if (*entry != '\0' && *entry != ';') {
            add_line(records, origin, entry, file, line);
        }
        line++;
    }
    free(copy);
    ldns_rdf_deep_free(origin);
    for (uint32_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)files[i]);
    }
}

struct made make_try_records(struct records *records)
{
    struct made made = {0};
    made.error = zone_build(records, 1, &made.diag, &made.zone);
    ck_assert((made.error == RR_OK) == (made.zone != NULL));
    records_free(records);
    return made;
}

struct made make_try(const char *apex, const char *text)
{
    struct records *records = records_new(names_wire(apex));
    make_records(records, apex, text);
    return make_try_records(records);
}

void make_free(struct made *made)
{
    zone_unref(made->zone);
    diag_clear(&made->diag);
}

struct zone *make_built(struct records *records)
{
    struct made made = make_try_records(records);
    ck_assert_msg(made.zone != NULL, "%s", make_told(&made.diag));
    diag_clear(&made.diag);
    return made.zone;
}

struct zone *make_zone(const char *apex, const char *text)
{
    struct records *records = records_new(names_wire(apex));
    make_records(records, apex, text);
    return make_built(records);
}

const char *make_told(const struct diag *diag)
{
    static char text[DIAG_KEEP * 1100];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < diag->kept; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s: %s\n",
                                 diag->entries[i].severity == DIAG_FAULT ? "fault" : "warning",
                                 diag->entries[i].text);
    }
    return text;
}
