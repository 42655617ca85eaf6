/*
 * What files in image_directory are called: "shard-XX.images" with the small zones of a shard,
 * "zone-XX....image" with a large one, by 32 digits of the hash of its name, of which the first two
 * are the shard's number. All others are nobody's business but their owner's.
 */
#ifndef RRDNS_DAEMON_IMAGE_NAMES_H
#define RRDNS_DAEMON_IMAGE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    IMAGE_SHARDS = 256,
    IMAGE_NAME_MAX = sizeof "zone-00000000000000000000000000000000.image",
};

struct image_hash {
    uint8_t octets[16];
};

/* Of a wire name, without regard to case. Its first octet is the number of the zone's shard. */
struct image_hash image_hash(const uint8_t *name);

void image_name_shard(unsigned shard, char name[static IMAGE_NAME_MAX]);
void image_name_zone(const struct image_hash *hash, char name[static IMAGE_NAME_MAX]);

/* Reads a file's name: its shard, and whether it is that of a large zone. False: it is none of
 * ours. */
bool image_name_read(const char *name, unsigned *shard, bool *large);

#endif
