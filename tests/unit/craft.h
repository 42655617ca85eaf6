/*
 * Images in memory, to be changed and then refused, or taken without harm:
 *
 *     struct craft c = craft_rich();
 *     craft_node(&c, "www.example.")->parent = 0;
 *     craft_broken(&c, "a node that isn't what its place makes it");
 */
#ifndef RRDNS_TESTS_CRAFT_H
#define RRDNS_TESTS_CRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/image.h"

enum { CRAFT_HEAD = sizeof(struct image_header) };

/* An image, and a view into it through which tests find what they change. */
struct craft {
    size_t size; /* of all */
    uint8_t *data;
    struct zone view;
    struct zone_head *head;
};

/* The image of a zone, which stays the caller's; of the zone that make_zone makes; of example. with
 * craft_rich_text. To be freed, or given to craft_broken. */
struct craft craft_of(const struct zone *zone);
struct craft craft_new(const char *apex, const char *text);
struct craft craft_rich(void);
void craft_free(struct craft *c);

/* Something of everything: wildcards, cuts with glue, DNAME, chains, SVCB, case, odd octets. */
extern const char *const craft_rich_text;

/* A node that is there, an RRset of it, and the ref of either. */
struct node *craft_node(const struct craft *c, const char *name);
struct rrset *craft_rrset(const struct craft *c, const char *name, uint16_t type);
arena_ref craft_ref(const struct craft *c, const void *at);

/* Makes the header of an image right for what follows it. */
void craft_mend(uint8_t *data, size_t size);

/* The zone of an image as it is, or NULL: *diag then has one reason, for a file "x.img". */
struct zone *craft_parse(const void *data, size_t size, struct diag *diag);

/* It is refused, and the reason has this text in it. */
void craft_refused(const void *data, size_t size, const char *reason);

/* With its header mended it is refused for this reason; frees c. */
void craft_broken(struct craft *c, const char *reason);

/* It is refused, or taken and good for any lookup and answer. Returns whether it was taken. */
bool craft_harmless(const void *data, size_t size);

#endif
