#include "scan_aid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"
#include "zone/rdata_print.h"
#include "zone/rdata_scan.h"
#include "zone/records_list.h"
#include "zone/zone_load.h"

static void add_record(FILE *out, const char *owner, const struct record *record)
{
    static uint8_t text[RDATA_TEXT_MAX];
    struct wire_writer writer = wire_writer_init(text, sizeof text);
    char type[RRTYPE_TEXT_MAX];
    rrtype_to_text(record->type, type);
    rdata_print(record->type, record->rdata, record->size, &writer);
    fprintf(out, "%s %u %s %.*s\n", owner, record->ttl, type, (int)writer.pos, (const char *)text);
}

char *scan_aid_records(const struct records *records)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (const struct record_chunk *chunk = records->part[0].first; chunk != NULL; chunk = chunk->next) {
        const struct record_owner *owner = (const void *)chunk->data;
        for (size_t i = 0; i < chunk->owners; i++, owner = record_owner_next(owner)) {
            uint8_t name[NAME_MAX_OCTETS];
            record_owner_name(records, owner, name);
            const struct record *record = record_first(owner);
            for (uint32_t k = 0; k < owner->count; k++, record = record_next(record)) {
                add_record(out, names_text(name), record);
            }
        }
    }
    fclose(out);
    return text;
}

void scan_is_bare(const char *text, size_t size, const char *records, const char *told)
{
    struct records *list = records_new(names_wire("example."));
    struct source_list sources = {0};
    struct diag diag = {0};
    int error = zone_scan_text("z", text, size, names_wire("example."), 1, list, &sources, &diag);
    ck_assert_str_eq(make_told(&diag), told);
    ck_assert_int_eq(error, diag.faults > 0 ? RR_EINVAL : RR_OK);
    char *found = scan_aid_records(list);
    ck_assert_str_eq(found, records);
    free(found);
    records_free(list);
    diag_clear(&diag);
    source_list_clear(&sources);
}

void scan_is(const char *text, const char *records, const char *told)
{
    char *whole;
    int size = asprintf(&whole, "$TTL 60\n%s", text);
    scan_is_bare(whole, (size_t)size, records, told);
    free(whole);
}

void scan_faults(const char *text, const char *fault)
{
    char *told;
    ck_assert_int_gt(asprintf(&told, "fault: z:%s\n", fault), 0);
    scan_is(text, "", told);
    free(told);
}

int scan_aid_rdata(uint16_t type, const char *text, uint8_t *rdata, const char **fault)
{
    static struct lexer lexer;
    struct scan_name origin = {.wire = "\7example", .size = 9};
    struct wire_writer out = wire_writer_init(rdata, 65535);
    size_t size = strlen(text);
    char *copy = calloc(1, size + LEXER_SLACK);
    memcpy(copy, text, size);
    lexer_init(&lexer, copy, size, 1);
    lexer_next(&lexer);
    int error = rdata_scan(&lexer, type, &origin, &out);
    free(copy);
    *fault = lexer.fault.text;
    return error == RR_OK ? (int)out.pos : -1;
}
