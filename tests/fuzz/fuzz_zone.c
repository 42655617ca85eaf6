/*
 * Master files: any text is a zone or has a fault that is told. A zone, written as text and as an
 * image, comes back as the same zone.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "zone/dump.h"
#include "zone/image.h"
#include "zone/zone_build.h"
#include "zone/zone_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";

static void require(bool good, const char *what, const struct diag *diag)
{
    if (!good) {
        const char *fault = diag != NULL ? diag_first_fault(diag) : NULL;
        fprintf(stderr, "fuzz_zone: %s: %s\n", what, fault != NULL ? fault : "?");
        abort();
    }
}

/* Whether the text may read files of this machine, or make millions of records. */
static bool is_unfit(const char *text)
{
    unsigned digits = 0;
    bool include = strcasestr(text, "$INCLUDE") != NULL && strpbrk(text, "/\\") != NULL;
    if (include || strcasestr(text, "$GENERATE") == NULL) {
        return include;
    }
    for (const char *p = text; *p != '\0' && digits < 4; p++) {
        digits = isdigit((unsigned char)*p) ? digits + 1 : 0;
    }
    return digits == 4;
}

static struct zone *load(const char *text, size_t size, struct diag *diag)
{
    struct source_list sources = {0};
    struct zone *zone = NULL;
    struct records *records = records_new(apex);
    require(records != NULL, "no memory", NULL);
    int error = zone_scan_text("fuzz", text, size, apex, 1, records, &sources, diag);
    require((error == RR_OK) == (diag->faults == 0), "a fault that is none", diag);
    if (error == RR_OK) {
        error = zone_build(records, 1, diag, &zone);
        require((error == RR_OK) == (diag->faults == 0), "a fault that is none", diag);
        require((error == RR_OK) == (zone != NULL), "a zone that is none", diag);
    }
    records_free(records);
    source_list_clear(&sources);
    return zone;
}

static void check_same(const struct zone *a, const struct zone *b, const char *what)
{
    require(a->arena.used == b->arena.used &&
                memcmp(a->arena.base, b->arena.base, a->arena.used) == 0,
            what, NULL);
}

static void check_text(const struct zone *zone)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    require(out != NULL && zone_dump(zone, out) == RR_OK && fclose(out) == 0, "no dump", NULL);
    struct diag diag = {0};
    struct zone *again = load(text, size, &diag);
    if (again == NULL) {
        fputs(text, stderr);
    }
    require(again != NULL, "a dump is refused", &diag);
    check_same(zone, again, "a dump makes another zone");
    zone_unref(again);
    diag_clear(&diag);
    free(text);
}

static void check_image(const struct zone *zone)
{
    struct image_header header;
    size_t size = zone->arena.used;
    uint8_t *image = malloc(sizeof header + size);
    require(image != NULL, "no memory", NULL);
    image_header(zone->arena.base, size, NULL, &header);
    memcpy(image, &header, sizeof header);
    memcpy(image + sizeof header, zone->arena.base, size);
    struct diag diag = {0};
    struct zone *again;
    require(image_parse("image", image, sizeof header + size, 1, &again, &diag) == RR_OK,
            "an image is refused", &diag);
    check_same(zone, again, "an image makes another zone");
    zone_unref(again);
    free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL, "no memory", NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (!is_unfit(text)) {
        struct diag diag = {0};
        struct zone *zone = load(text, size, &diag);
        diag_clear(&diag);
        if (zone != NULL) {
            check_text(zone);
            check_image(zone);
        }
        zone_unref(zone);
    }
    free(text);
    return 0;
}
