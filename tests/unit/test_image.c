/*
 * Images: written, read back and asked the same questions; cut short, with every octet changed,
 * with each thing wrong that image_check looks for, and without memory.
 *
 * An image that is taken in spite of a change must be harmless: it is read through and asked
 * about everything in it, which the address sanitizer watches.
 */
#include "zone/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fuzz/desk.h"
#include "base/err.h"
#include "make_zone.h"
#include "names.h"
#include "slow_zone.h"
#include "unit.h"

enum { HEAD = sizeof(struct image_header) };

static struct desk desk;

/* ---- Aids ---- */

/* An image in memory, and a view into it that tests change things through. */
struct craft {
    size_t size; /* of all */
    uint8_t *data;
    struct zone view;
    struct zone_head *head;
};

static struct craft craft_of(struct zone *zone)
{
    struct craft c = {.size = HEAD + zone->arena.used};
    struct image_header header;
    image_header(zone->arena.base, zone->arena.used, &header);
    c.data = malloc(c.size);
    memcpy(c.data, &header, HEAD);
    memcpy(c.data + HEAD, zone->arena.base, zone->arena.used);
    c.view.arena = (struct arena){.base = c.data + HEAD, .used = zone->arena.used};
    c.head = arena_at(&c.view.arena, 1);
    c.view.head = c.head;
    c.view.radix = zone_at(&c.view, c.head->radix);
    return c;
}

static struct craft craft(const char *apex, const char *text)
{
    struct zone *zone = make_zone(apex, text);
    struct craft c = craft_of(zone);
    zone_unref(zone);
    return c;
}

static void craft_free(struct craft *c)
{
    free(c->data);
}

/* Makes the header right for what follows it. */
static void mend(uint8_t *data, size_t size)
{
    struct image_header header;
    image_header(data + HEAD, size - HEAD, &header);
    memcpy(data, &header, HEAD);
}

static struct node *node_of(const struct craft *c, const char *text)
{
    struct key key;
    struct zone_match match;
    key_from_name(names_wire(text), &key);
    zone_lookup(&c->view, &key, &match);
    ck_assert_msg(match.node != NULL, "no %s", text);
    return (struct node *)(uintptr_t)match.node;
}

static struct rrset *rrset_of(const struct craft *c, const char *text, uint16_t type)
{
    const struct rrset *rrset = node_rrset(node_of(c, text), type);
    ck_assert_ptr_nonnull(rrset);
    return (struct rrset *)(uintptr_t)rrset;
}

static arena_ref ref_of(const struct craft *c, const void *at)
{
    return (arena_ref)((size_t)((const uint8_t *)at - c->view.arena.base) / ARENA_UNIT);
}

/* Parses; a refusal must have a reason, which *diag keeps. */
static struct zone *parse(const void *data, size_t size, struct diag *diag)
{
    struct zone *zone = (void *)&desk;
    int error = image_parse("x.img", data, size, &zone, diag);
    if (error == RR_OK) {
        ck_assert_ptr_nonnull(zone);
        ck_assert_uint_eq(diag->faults, 0);
    } else {
        ck_assert_int_eq(error, RR_EFORMAT);
        ck_assert_ptr_null(zone);
        ck_assert_uint_eq(diag->faults, 1);
        ck_assert(strncmp(diag_first_fault(diag), "x.img: ", 7) == 0);
    }
    return zone;
}

static void refused(const void *data, size_t size, const char *reason)
{
    struct diag diag = {0};
    struct zone *zone = parse(data, size, &diag);
    ck_assert_msg(zone == NULL, "taken, in spite of: %s", reason);
    ck_assert_msg(strstr(diag_first_fault(&diag), reason) != NULL, "\"%s\" is not \"%s\"",
                  diag_first_fault(&diag), reason);
    diag_clear(&diag);
}

/* The changed image, its checksum right, is refused for a reason; then c is freed. */
static void broken(struct craft *c, const char *reason)
{
    mend(c->data, c->size);
    refused(c->data, c->size, reason);
    craft_free(c);
}

/* Taken or refused, but harmless. Returns whether it was taken. */
static bool harmless(const void *data, size_t size)
{
    struct diag diag = {0};
    struct zone *zone = parse(data, size, &diag);
    diag_clear(&diag);
    if (zone != NULL) {
        desk_walk(&desk, zone, NULL, NULL);
    }
    return zone != NULL;
}

/* All answers a zone gives, one after another. */
struct transcript {
    uint8_t *data;
    size_t size, room;
};

static void note(void *context, const uint8_t *query, size_t query_size, const uint8_t *answer,
                 size_t size)
{
    struct transcript *t = context;
    if (t->size + query_size + size > t->room) {
        t->room = 2 * (t->room + query_size + size);
        t->data = realloc(t->data, t->room);
    }
    memcpy(t->data + t->size, query, query_size);
    memcpy(t->data + t->size + query_size, answer, size);
    t->size += query_size + size;
}

/* Something of everything: wildcards, cuts with glue, DNAME, chains, SVCB, case, odd octets. */
static const char *const rich =
    "@ SOA ns host 7 7200 900 86400 300\n"
    "@ NS ns\n"
    "@ NS ns.sub\n"
    "@ MX 10 Mail\n"
    "@ MX 20 mail2.elsewhere.\n"
    "@ TYPE65 \\# 3 000100\n"
    "@ A 192.0.2.80\n"
    "ns A 192.0.2.1\n"
    "ns AAAA 2001:db8::1\n"
    "Mail 60 A 192.0.2.2\n"
    "*.wild TXT \"any\" \"two\"\n"
    "*.wild MX 5 a.wild\n"
    "a.wild A 192.0.2.3\n"
    "sub NS ns.sub\n"
    "sub NS ns\n"
    "sub DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "ns.sub A 192.0.2.4\n"
    "old DNAME new\n"
    "below.old A 192.0.2.5\n"
    "x.new CNAME www\n"
    "www CNAME web\n"
    "web A 192.0.2.6\n"
    "web TYPE65 \\# 11 0000076578616d706c6500\n" /* AliasMode, to example. */
    "_sip._tcp SRV 1 2 5060 web\n"
    "deep.er.and.deeper TXT \"x\"\n"
    "odd\\!\\000\\255 TXT \"octets\"\n"
    "null TYPE10 \\# 22 00000000000000000000000000000000000000000000\n";

static char *folder_new(void)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/rrdns-image-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

static char *in_folder(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t folder_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void folder_free(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            unlink(in_folder(folder, entry->d_name));
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- Round trips ---- */

static struct zone *read_good(const char *path)
{
    struct diag diag = {0};
    struct zone *zone;
    int error = image_read(path, &zone, &diag);
    ck_assert_msg(error == RR_OK, "%s: %s", rr_strerror(error),
                  diag.faults > 0 ? diag_first_fault(&diag) : strerror(errno));
    return zone;
}

/* The zone (given away), through a file: the same octets elsewhere, and the same answers. */
static void round_trip(struct zone *zone)
{
    const char *folder = folder_new();
    const char *path = in_folder(folder, "zone.img");
    ck_assert_int_eq(image_write(zone, path), RR_OK);
    ck_assert_uint_eq(folder_entries(folder), 1);
    struct zone *again = read_good(path);

    ck_assert_ptr_ne(again->arena.base, zone->arena.base);
    ck_assert_uint_eq(again->arena.used, zone->arena.used);
    ck_assert_mem_eq(again->arena.base, zone->arena.base, zone->arena.used);
    ck_assert_uint_eq(again->magic, zone->magic);
    ck_assert_uint_eq(again->references, 1);

    struct transcript before = {0}, after = {0};
    desk_walk(&desk, zone, note, &before); /* frees it */
    desk_walk(&desk, again, note, &after);
    ck_assert_uint_eq(before.size, after.size);
    ck_assert_mem_eq(before.data, after.data, before.size);
    free(before.data);
    free(after.data);
    folder_free(folder);
}

START_TEST(same_answers_from_elsewhere)
{
    round_trip(make_zone("example.", rich));
    round_trip(make_zone("Sub.EXAMPLE.", MAKE_APEX "Www A 192.0.2.1\nwww.x.Y A 192.0.2.2\n"));
    round_trip(make_zone(".", "@ SOA a.root host 1 2 3 4 5\n@ NS a.root\na.root A 192.0.2.1\n"
                              "com NS ns.com\nns.com A 192.0.2.2\n"));
    round_trip(make_zone("*.example.", MAKE_APEX "* MX 1 @\n*.* A 192.0.2.1\n"));
}
END_TEST

/* One large enough for pages of its own. */
START_TEST(same_answers_from_pages)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", rich);
    for (uint32_t i = 0; i < 3000; i++) {
        char text[64];
        snprintf(text, sizeof text, "host-%u.%u.example.", i, i % 7);
        make_record(records, names_wire(text), RRTYPE_A, 60, &i, 4, 0, i);
    }
    struct zone *zone = make_built(records);
    ck_assert(zone->arena.mapped);
    round_trip(zone);
}
END_TEST

START_TEST(random_zones)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 40 / UNIT_SLOWER; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(round % 8 == 0 ? "." : "a.example."));
        slow_random(&rng, &slow, (enum names_kind)(round % 5), 1 + rng_below(&rng, 40));
        for (size_t i = 0; i < slow.count; i++) {
            if (slow.records[i].type == RRTYPE_DS) {
                slow.records[i].rdata[3] = 2; /* of the length it has */
            }
        }
        round_trip(make_built(slow_records(&slow)));
        slow_free(&slow);
    }
}
END_TEST

/* An RRset with positions past those that are pointed to, and as many patches as may be. */
START_TEST(large_rrsets)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX "a.mx A 192.0.2.1\n");
    for (uint16_t i = 0; i < 2600; i++) {
        uint8_t rdata[64];
        char text[64];
        snprintf(text, sizeof text, "a%u.mx.example.", i);
        wire_put_u16(rdata, i);
        memcpy(rdata + 2, names_wire(text), names_size(names_wire(text)));
        make_record(records, names_wire("mx.example."), RRTYPE_MX, 60, rdata,
                    2 + names_size(names_wire(text)), 0, i);
        snprintf(text, sizeof text, "n%u.ns.elsewhere.", i % 2000);
        if (i < 2000) {
            make_record(records, names_wire("ns.example."), RRTYPE_NS, 60, names_wire(text),
                        names_size(names_wire(text)), 0, i);
        }
    }
    round_trip(make_built(records));
}
END_TEST

START_TEST(same_zone_same_octets)
{
    struct zone *zone = make_zone("example.", rich);
    struct zone *again = make_zone("example.", rich);
    ck_assert_uint_eq(zone->arena.used, again->arena.used);
    ck_assert_mem_eq(zone->arena.base, again->arena.base, zone->arena.used);
    zone_unref(zone);
    zone_unref(again);
}
END_TEST

/* ---- Files ---- */

START_TEST(what_is_no_image_file)
{
    const char *folder = folder_new();
    struct diag diag = {0};
    struct zone *zone;
    ck_assert_int_eq(image_read(in_folder(folder, "none"), &zone, &diag), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_uint_eq(diag.faults, 0);

    const char *fifo = in_folder(folder, "fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    const char *const others[] = {fifo, folder, "/dev/null"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(image_read(others[i], &zone, &diag), RR_EFORMAT);
        ck_assert_ptr_null(zone);
        ck_assert_ptr_nonnull(strstr(diag_first_fault(&diag), ": not a regular file"));
        diag_clear(&diag);
    }
    folder_free(folder);
}
END_TEST

/* Where writing fails, what was there stays, and nothing else does. */
START_TEST(failed_writes_leave_nothing)
{
    const char *folder = folder_new();
    const char *path = in_folder(folder, "zone.img");
    struct zone *zone = make_zone("example.", rich);
    struct zone *small = make_zone("example.", MAKE_APEX);
    ck_assert_int_eq(image_write(small, path), RR_OK);

    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {HEAD + small->arena.used, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(image_write(zone, path), RR_EIO);
    ck_assert_int_eq(errno, EFBIG);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_uint_eq(folder_entries(folder), 1);
    struct zone *kept = read_good(path);
    ck_assert_uint_eq(kept->arena.used, small->arena.used);
    zone_unref(kept);

    ck_assert_int_eq(image_write(zone, in_folder(folder, "no/zone.img")), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    const char *taken = in_folder(folder, "taken");
    ck_assert_int_eq(mkdir(taken, 0700), 0);
    ck_assert_int_eq(image_write(zone, taken), RR_EIO);
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_int_eq(rmdir(taken), 0);
    ck_assert_uint_eq(folder_entries(folder), 1);

    path = in_folder(folder, "zone.img");
    ck_assert_int_eq(image_write(zone, path), RR_OK);
    kept = read_good(path);
    ck_assert_uint_eq(kept->arena.used, zone->arena.used);
    zone_unref(kept);
    zone_unref(zone);
    zone_unref(small);
    folder_free(folder);
}
END_TEST

/* ---- Damage ---- */

START_TEST(every_header_octet_counts)
{
    struct craft c = craft("example.", MAKE_APEX);
    for (size_t i = 0; i < HEAD; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            c.data[i] ^= (uint8_t)(1u << bit);
            refused(c.data, c.size, "image");
            c.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    craft_free(&c);
}
END_TEST

START_TEST(header_messages)
{
    struct craft c = craft("example.", MAKE_APEX);
    struct image_header *header = (void *)c.data;
    struct image_header good = *header;
    header->magic[7]++;
    refused(c.data, c.size, "x.img: not a zone image");
    *header = good;
    header->byte_order = 0x04030201;
    refused(c.data, c.size, "byte order");
    *header = good;
    header->version++;
    refused(c.data, c.size, "zone image of version 2; this program's is 1");
    *header = good;
    header->size += 8;
    refused(c.data, c.size, "cut short");
    header->size -= 16;
    refused(c.data, c.size, "longer than it says");
    *header = good;
    header->checksum[15]++;
    refused(c.data, c.size, "damaged");
    *header = good;
    refused(c.data, HEAD - 1, "too short");
    refused(c.data, 0, "too short");
    mend(c.data, HEAD);
    refused(c.data, HEAD, "impossible size");
    mend(c.data, HEAD + 12);
    refused(c.data, HEAD + 12, "impossible size");
    craft_free(&c);
}
END_TEST

/* Without and with a checksum that fits, and with memory that ends where the image does. */
START_TEST(every_length)
{
    struct craft c = craft("example.", rich);
    for (size_t size = 0; size < c.size; size++) {
        uint8_t *data = unit_guarded(size);
        memcpy(data, c.data, size);
        struct diag diag = {0};
        ck_assert_ptr_null(parse(data, size, &diag));
        diag_clear(&diag);
        if (size >= HEAD) {
            mend(data, size);
            ck_assert_ptr_null(parse(data, size, &diag));
            diag_clear(&diag);
        }
        unit_guarded_free(data, size);
    }
    craft_free(&c);
}
END_TEST

/* More octets after the zone, told by the header: nothing refers to them. */
START_TEST(idle_octets)
{
    struct craft c = craft("example.", MAKE_APEX);
    uint8_t *data = calloc(1, c.size + 80);
    memcpy(data, c.data, c.size);
    mend(data, c.size + 80);
    ck_assert(harmless(data, c.size + 80));
    free(data);
    craft_free(&c);
}
END_TEST

START_TEST(every_octet)
{
    struct craft c = craft("example.", rich);
    size_t taken = 0;
    for (size_t at = HEAD; at < c.size; at++) {
        static const uint8_t changes[] = {0xff, 0x01, 0x80, 0x0c};
        uint8_t kept = c.data[at];
        for (size_t i = 0; i < sizeof changes; i++) {
            c.data[at] = (uint8_t)(kept ^ changes[i]);
            if (i == 0) {
                refused(c.data, c.size, "damaged");
            }
            mend(c.data, c.size);
            taken += harmless(c.data, c.size);
            c.data[at] = kept;
            mend(c.data, c.size);
        }
    }
    /* Addresses, text, numbers of the SOA. */
    ck_assert_uint_gt(taken, 100);
    craft_free(&c);
}
END_TEST

/* Several changes at once, small numbers more often than others. */
START_TEST(random_changes)
{
    struct rng rng = rng_start();
    struct craft c = craft("example.", rich);
    uint8_t *data = malloc(c.size);
    for (unsigned round = 0; round < 20000 / UNIT_SLOWER; round++) {
        memcpy(data, c.data, c.size);
        for (unsigned n = 1 + rng_below(&rng, 4); n > 0; n--) {
            uint8_t *at = data + HEAD + rng_below(&rng, (unsigned)(c.size - HEAD));
            switch (rng_below(&rng, 4)) {
            case 0:
                *at = (uint8_t)rng_next(&rng);
                break;
            case 1:
                *at = (uint8_t)(*at + rng_below(&rng, 5) - 2);
                break;
            case 2:
                *at = (uint8_t)rng_below(&rng, 4);
                break;
            default:
                *at = data[HEAD + rng_below(&rng, (unsigned)(c.size - HEAD))];
                break;
            }
        }
        mend(data, c.size);
        harmless(data, c.size);
    }
    free(data);
    craft_free(&c);
}
END_TEST

/* ---- What is looked for ---- */

static struct craft rich_craft(void)
{
    return craft("example.", rich);
}

START_TEST(broken_heads)
{
    struct craft c = rich_craft();
    c.head->magic++;
    broken(&c, "not the head of a zone");
    c = rich_craft();
    c.head->version++;
    broken(&c, "not the head of a zone");
    c = rich_craft();
    c.head->apex_name[0] = 64;
    broken(&c, "the apex is no name");
    c = rich_craft();
    c.head->apex_size = 0;
    broken(&c, "the apex is no name");
    c = rich_craft();
    c.head->apex_size++;
    broken(&c, "the apex is no name");
    c = rich_craft();
    c.head->apex_labels++;
    broken(&c, "the apex is not as long as the head says");
    c = rich_craft();
    c.head->apex_key_size--;
    broken(&c, "the apex is not as long as the head says");
    c = rich_craft();
    c.head->nodes = (uint64_t)1 << 60;
    broken(&c, "more nodes than there is room for");
    c = rich_craft();
    c.head->radix_size = UINT32_MAX;
    broken(&c, "more nodes than there is room for");
    c = rich_craft();
    c.head->apex = 0;
    broken(&c, "nodes don't end where the head says");
    c = rich_craft();
    c.head->last = c.head->radix;
    broken(&c, "nodes don't end where the head says");
    c = rich_craft();
    c.head->nodes--;
    broken(&c, "nodes don't end where the head says");
    c = rich_craft();
    c.head->nodes++;
    broken(&c, "the head's counts are not the zone's");
    c = rich_craft();
    c.head->rrsets++;
    broken(&c, "the head's counts are not the zone's");
    c = rich_craft();
    c.head->records--;
    broken(&c, "the head's counts are not the zone's");
}
END_TEST

START_TEST(broken_names)
{
    struct craft c = rich_craft();
    c.head->apex = ref_of(&c, node_of(&c, "www.example."));
    broken(&c, "the first node isn't the apex");
    c = rich_craft();
    node_of(&c, "www.example.")->size = 0;
    broken(&c, "a node ends outside the image");
    c = rich_craft();
    node_of(&c, "www.example.")->size += 4;
    broken(&c, "a node ends outside the image");
    c = rich_craft();
    node_of(&c, "x.new.example.")->size = 0xfffffff8;
    broken(&c, "a node ends outside the image");
    c = rich_craft();
    node_of(&c, "web.example.")->key_size = 0xffff;
    broken(&c, "a node ends outside the image");
    c = rich_craft();
    ((uint8_t *)(uintptr_t)node_key(node_of(&c, "web.example.")))[3] = 77;
    broken(&c, "a name whose parent isn't there");
    c = rich_craft();
    ((uint8_t *)(uintptr_t)node_key(node_of(&c, "www.example.")))[1] = KEY_SEPARATOR;
    broken(&c, "a name whose parent isn't there");
    c = rich_craft();
    node_of(&c, "www.example.")->key_size--;
    broken(&c, "a name whose parent isn't there");
    c = rich_craft(); /* no octet has that place in its group: "!" comes after "odd" */
    ((uint8_t *)(uintptr_t)node_key(node_of(&c, "odd\\!\\000\\255.example.")))[4] = 45;
    broken(&c, "a key that no name has");
    c = rich_craft();
    node_of(&c, "www.example.")->name_size++;
    broken(&c, "a name of another size than its key");
    c = rich_craft();
    ((uint8_t *)(uintptr_t)node_key(node_of(&c, "ns.example.")))[0]++;
    broken(&c, "names out of order");
    c = rich_craft();
    struct node *mail = node_of(&c, "mail.example.");
    ((uint8_t *)(uintptr_t)node_key(mail))[mail->key_size + 1] = 'N';
    broken(&c, "a name written otherwise than its key");
    c = rich_craft();
    node_of(&c, "mail.example.")->rrsets_at += 8;
    broken(&c, "RRsets are not where the name ends");
    c = rich_craft();
    node_of(&c, "wild.example.")->flags |= NODE_CASE;
    broken(&c, "RRsets are not where the name ends");
}
END_TEST

START_TEST(broken_places)
{
    const char *reason = "a node that isn't what its place makes it";
    for (unsigned bit = 0; bit < 8; bit++) {
        if (1u << bit != NODE_CASE) {
            struct craft c = rich_craft();
            node_of(&c, "ns.sub.example.")->flags ^= (uint8_t)(1u << bit);
            broken(&c, reason);
        }
    }
    struct craft c = rich_craft();
    struct node *node = node_of(&c, "www.example.");
    node->parent = ref_of(&c, node);
    broken(&c, reason);
    c = rich_craft();
    node_of(&c, "example.")->parent = c.head->apex;
    broken(&c, reason);
    c = rich_craft();
    node_of(&c, "sub.example.")->cut = 0;
    broken(&c, reason);
    c = rich_craft();
    node_of(&c, "web.example.")->cut = ref_of(&c, node_of(&c, "sub.example."));
    broken(&c, reason);
    c = rich_craft();
    node_of(&c, "wild.example.")->star = 0;
    broken(&c, "a wildcard that its parent doesn't know");
    c = rich_craft();
    node_of(&c, "web.example.")->star = ref_of(&c, node_of(&c, "*.wild.example."));
    broken(&c, "a wildcard that isn't there");
    c = rich_craft();
    node_of(&c, "example.")->star = c.head->last;
    broken(&c, "a wildcard that isn't there");
}
END_TEST

START_TEST(broken_rrsets)
{
    struct craft c = rich_craft();
    node_of(&c, "web.example.")->rrsets++;
    broken(&c, "an RRset ends outside its node");
    c = rich_craft();
    node_of(&c, "web.example.")->rrsets--;
    broken(&c, "octets after a node's last RRset");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_A)->block_size = UINT32_MAX;
    broken(&c, "an RRset ends outside its node");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_HTTPS)->patches = UINT16_MAX;
    broken(&c, "an RRset ends outside its node");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_HTTPS)->targets = UINT16_MAX;
    broken(&c, "an RRset ends outside its node");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_HTTPS)->count = 0;
    broken(&c, "an RRset has too few or too many records");
    c = rich_craft();
    rrset_of(&c, "www.example.", RRTYPE_CNAME)->count = 2;
    broken(&c, "an RRset has too few or too many records");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_A)->count = 2;
    broken(&c, "a record ends outside its RRset");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_A)->block[11]++;
    broken(&c, "a record ends outside its RRset");
    c = rich_craft();
    rrset_of(&c, "ns.example.", RRTYPE_A)->block[11]--;
    broken(&c, "the data is malformed or too short for its type");
    c = rich_craft();
    rrset_of(&c, "*.wild.example.", RRTYPE_TXT)->block[11] = 4; /* the first string alone */
    broken(&c, "octets after an RRset's last record");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_A)->type = 999;
    broken(&c, "a record is not of its RRset's type, class and TTL");
    c = rich_craft();
    rrset_of(&c, "web.example.", RRTYPE_A)->block[5] = CLASS_CH;
    broken(&c, "a record is not of its RRset's type, class and TTL");
    c = rich_craft();
    struct rrset *rrset = rrset_of(&c, "ns.example.", RRTYPE_A);
    rrset->type = 999;
    wire_put_u16(rrset->block + 2, 999);
    broken(&c, "RRsets out of order");
    c = rich_craft();
    rrset = rrset_of(&c, "null.example.", 10);
    rrset->type = RRTYPE_OPT;
    wire_put_u16(rrset->block + 2, RRTYPE_OPT);
    broken(&c, "zone image is broken at octet");
    c = rich_craft();
    rrset = rrset_of(&c, "null.example.", 10);
    rrset->type = RRTYPE_SOA;
    wire_put_u16(rrset->block + 2, RRTYPE_SOA);
    broken(&c, "an SOA that isn't at the apex");
}
END_TEST

/* Placeholders: MX of example. is "20 mail2.elsewhere." after "10 Mail" and the owner. */
START_TEST(broken_compression)
{
    const char *text = MAKE_APEX "mx.a MX 1 x.b.c.elsewhere.\nmx.a MX 2 b.c.elsewhere.\n"
                                 "mx.a MX 3 y.mx.a\n*.w MX 1 a.w\n";
    const char *reason = "a name in RDATA is broken";
    struct craft c = craft("example.", text);
    struct rrset *rrset = rrset_of(&c, "mx.a.example.", RRTYPE_MX);
    const uint16_t *patches = rrset_patch_table(rrset);
    ck_assert_uint_eq(rrset->patches, 2);
    size_t inner = patches[0], outer = patches[1];
    unsigned value = wire_get_u16(rrset->block + inner) & 0x3fff;
    ck_assert_uint_eq(value, 256 + RECORD_HEAD + 2 + 2); /* b.c.elsewhere. after 1 and x */
    ck_assert_uint_eq(wire_get_u16(rrset->block + outer) & 0x3fff,
                      names_size(names_wire("mx.a.example.")));
    craft_free(&c);

    const unsigned bad[] = {
        value + 1,              /* the middle of a label */
        256,                    /* a record's head */
        256 + RECORD_HEAD,      /* a preference */
        256 + (unsigned)inner,  /* itself */
        256 + (unsigned)outer,  /* what comes later */
        0x3fff,                 /* nowhere */
        0,                      /* no part of the owner */
        13,                     /* the middle of the owner's label */
        15,                     /* more than the owner */
        255,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        c = craft("example.", text);
        rrset = rrset_of(&c, "mx.a.example.", RRTYPE_MX);
        wire_put_u16(rrset->block + inner, (uint16_t)(0xc000 | bad[i]));
        broken(&c, reason);
    }

    c = craft("example.", text); /* y, then y again, and so on */
    rrset = rrset_of(&c, "mx.a.example.", RRTYPE_MX);
    wire_put_u16(rrset->block + outer, (uint16_t)(0xc000 | (256 + outer - 2)));
    broken(&c, reason);
    c = craft("example.", text); /* the label of a wildcard may stand for another */
    rrset = rrset_of(&c, "*.w.example.", RRTYPE_MX);
    wire_put_u16(rrset->block + rrset_patch_table(rrset)[0],
                 (uint16_t)(0xc000 | names_size(names_wire("*.w.example."))));
    broken(&c, reason);
    c = craft("example.", text); /* the root of the owner is harmless, if never written */
    rrset = rrset_of(&c, "mx.a.example.", RRTYPE_MX);
    wire_put_u16(rrset->block + inner, 0xc001);
    mend(c.data, c.size);
    ck_assert(harmless(c.data, c.size));
    craft_free(&c);
}
END_TEST

START_TEST(broken_patch_tables)
{
    const char *text = MAKE_APEX "mx.a MX 1 x.mx.a\nmx.a MX 2 y.mx.a\nmx.a MX 3 z.mx.a\n";
    const char *reason = "a name in RDATA is broken";
    for (unsigned i = 0; i < 3; i++) {
        struct craft c = craft("example.", text);
        uint16_t *patches = (uint16_t *)(uintptr_t)rrset_patch_table(
            rrset_of(&c, "mx.a.example.", RRTYPE_MX));
        patches[i]++;
        broken(&c, reason);
        c = craft("example.", text);
        patches = (uint16_t *)(uintptr_t)rrset_patch_table(
            rrset_of(&c, "mx.a.example.", RRTYPE_MX));
        patches[i] = patches[(i + 1) % 3];
        broken(&c, reason);
    }
    struct craft c = craft("example.", text); /* three end where four would */
    rrset_of(&c, "mx.a.example.", RRTYPE_MX)->patches++;
    broken(&c, "a patch where no name is compressed");
    c = craft("example.", text);
    struct rrset *rrset = rrset_of(&c, "mx.a.example.", RRTYPE_MX);
    rrset->patches--;
    broken(&c, reason);
}
END_TEST

START_TEST(broken_trees)
{
    struct craft c = rich_craft();
    uint32_t entries = c.head->radix_size;
    craft_free(&c);
    for (uint32_t i = 0; i < entries; i++) {
        for (unsigned word = 0; word < 3; word++) {
            for (unsigned bit = 0; bit < 32; bit++) {
                c = rich_craft();
                uint32_t *entry = arena_at(&c.view.arena, c.head->radix);
                entry[3 * i + word] ^= UINT32_C(1) << bit;
                broken(&c, "the search tree isn't that of the names");
            }
        }
    }
    c = rich_craft();
    c.head->radix_size--;
    broken(&c, "the search tree isn't as large as the head says");
    c = rich_craft();
    c.head->radix = 0;
    broken(&c, "the search tree isn't as large as the head says");
    c = rich_craft();
    c.head->radix = UINT32_MAX;
    broken(&c, "the search tree isn't as large as the head says");
    c = rich_craft();
    c.head->radix -= 2;
    broken(&c, "the search tree isn't that of the names");
}
END_TEST

START_TEST(broken_soa)
{
    const char *reason = "the SOA of negative answers isn't the zone's";
    struct craft c = rich_craft();
    c.head->serial++;
    broken(&c, reason);
    c = rich_craft();
    c.head->negative_soa = ref_of(&c, rrset_of(&c, "example.", RRTYPE_SOA));
    broken(&c, reason); /* its TTL is another */
    c = rich_craft();
    c.head->negative_soa = UINT32_MAX;
    broken(&c, "no SOA");
    c = rich_craft();
    c.head->negative_soa = 0;
    broken(&c, "no SOA");
    c = rich_craft();
    struct rrset *negative = arena_at(&c.view.arena, c.head->negative_soa);
    negative->patches--;
    broken(&c, reason);
    c = rich_craft();
    negative = arena_at(&c.view.arena, c.head->negative_soa);
    negative->block[negative->block_size - 1]++;
    broken(&c, reason);
}
END_TEST

START_TEST(broken_targets)
{
    const char *reason = "a target that isn't what its record says";
    struct craft c = rich_craft();
    struct rrset_target *targets =
        (struct rrset_target *)(uintptr_t)rrset_targets(rrset_of(&c, "sub.example.", RRTYPE_NS));
    ck_assert_uint_ne(targets[0].node, 0);
    targets[0].node = targets[1].node;
    broken(&c, reason);
    for (unsigned bit = 0; bit < 32; bit++) {
        c = rich_craft();
        targets = (struct rrset_target *)(uintptr_t)rrset_targets(
            rrset_of(&c, "_sip._tcp.example.", RRTYPE_SRV));
        targets[0].node ^= UINT32_C(1) << bit;
        broken(&c, reason);
    }
    for (unsigned bit = 0; bit < 16; bit++) {
        c = rich_craft();
        targets = (struct rrset_target *)(uintptr_t)rrset_targets(
            rrset_of(&c, "_sip._tcp.example.", RRTYPE_SRV));
        targets[0].position ^= (uint16_t)(1u << bit);
        broken(&c, "a target that no record has");
        c = rich_craft();
        targets = (struct rrset_target *)(uintptr_t)rrset_targets(
            rrset_of(&c, "example.", RRTYPE_HTTPS));
        targets[0].flags ^= (uint16_t)(1u << bit);
        broken(&c, reason);
    }
    c = rich_craft(); /* "." stands for the owner, no other */
    targets = (struct rrset_target *)(uintptr_t)rrset_targets(
        rrset_of(&c, "example.", RRTYPE_HTTPS));
    targets[0].node = c.head->last;
    broken(&c, reason);
    c = craft("example.", MAKE_APEX "a TYPE999 \\# 16 01020304050607080102030405060708\n");
    struct rrset *rrset = rrset_of(&c, "a.example.", 999);
    rrset->targets = 1; /* where the last eight octets of RDATA were */
    rrset->block_size -= 8;
    rrset->block[11] -= 8;
    broken(&c, "targets of a type that has none");
    c = rich_craft(); /* nothing to add is always true */
    targets = (struct rrset_target *)(uintptr_t)rrset_targets(
        rrset_of(&c, "example.", RRTYPE_NS));
    targets[0].node = 0;
    mend(c.data, c.size);
    ck_assert(harmless(c.data, c.size));
    craft_free(&c);
}
END_TEST

/* ---- No memory ---- */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_FAIL 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static long allocations_left = -1; /* negative: no end to them */

static bool has_memory(void)
{
    if (allocations_left == 0) {
        errno = ENOMEM;
        return false;
    }
    allocations_left -= allocations_left > 0;
    return true;
}

void *malloc(size_t size)
{
    return has_memory() ? __libc_malloc(size) : NULL;
}

void *calloc(size_t count, size_t size)
{
    return has_memory() ? __libc_calloc(count, size) : NULL;
}

void *realloc(void *old, size_t size)
{
    return has_memory() ? __libc_realloc(old, size) : NULL;
}

START_TEST(every_allocation_fails)
{
    struct craft c = rich_craft();
    const char *folder = folder_new();
    const char *path = in_folder(folder, "zone.img");
    long before = -1;
    struct zone *zone = NULL;
    while (zone == NULL) {
        ck_assert_int_lt(++before, 100);
        struct diag diag = {0};
        allocations_left = before;
        int error = image_parse("x", c.data, c.size, &zone, &diag);
        allocations_left = -1;
        ck_assert_int_eq(error, zone != NULL ? RR_OK : RR_ENOMEM);
        ck_assert_uint_eq(diag.faults, 0);
    }
    ck_assert_int_gt(before, 5);
    allocations_left = 0;
    int error = image_write(zone, path);
    int reason = errno;
    allocations_left = -1;
    ck_assert_int_eq(error, RR_EIO);
    ck_assert_int_eq(reason, ENOMEM);
    ck_assert_uint_eq(folder_entries(folder), 0);
    zone_unref(zone);
    craft_free(&c);
    folder_free(folder);
}
END_TEST

/* A file that tells of a gigabyte, where there is less. */
START_TEST(more_than_there_is)
{
    const char *folder = folder_new();
    const char *path = in_folder(folder, "large.img");
    struct image_header header;
    image_header("", 0, &header);
    header.size = (uint64_t)1 << 30;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, &header, HEAD), HEAD);
    ck_assert_int_eq(ftruncate(fd, (off_t)(HEAD + header.size)), 0);
    close(fd);
    struct rlimit limit = {(rlim_t)1 << 29, (rlim_t)1 << 29};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    struct diag diag = {0};
    struct zone *zone;
    ck_assert_int_eq(image_read(path, &zone, &diag), RR_ENOMEM);
    ck_assert_ptr_null(zone);
    folder_free(folder);
}
END_TEST
#endif

int main(void)
{
    struct unit unit = unit_begin("image");
    tcase_add_test(unit.tests, same_answers_from_elsewhere);
    tcase_add_test(unit.tests, same_answers_from_pages);
    tcase_add_test(unit.tests, random_zones);
    tcase_add_test(unit.tests, large_rrsets);
    tcase_add_test(unit.tests, same_zone_same_octets);
    tcase_add_test(unit.tests, what_is_no_image_file);
    tcase_add_test(unit.tests, failed_writes_leave_nothing);
    tcase_add_test(unit.tests, every_header_octet_counts);
    tcase_add_test(unit.tests, header_messages);
    tcase_add_test(unit.tests, every_length);
    tcase_add_test(unit.tests, idle_octets);
    tcase_add_test(unit.tests, every_octet);
    tcase_add_test(unit.tests, random_changes);
    tcase_add_test(unit.tests, broken_heads);
    tcase_add_test(unit.tests, broken_names);
    tcase_add_test(unit.tests, broken_places);
    tcase_add_test(unit.tests, broken_rrsets);
    tcase_add_test(unit.tests, broken_compression);
    tcase_add_test(unit.tests, broken_patch_tables);
    tcase_add_test(unit.tests, broken_trees);
    tcase_add_test(unit.tests, broken_soa);
    tcase_add_test(unit.tests, broken_targets);
#ifdef CAN_FAIL
    tcase_add_test(unit.tests, every_allocation_fails);
    tcase_add_test(unit.tests, more_than_there_is);
#endif
    return unit_end(&unit);
}
