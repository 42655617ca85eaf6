#include "daemon/image_names.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "dns/name.h"

struct image_hash image_hash(const uint8_t *name)
{
    uint8_t lower[NAME_MAX_OCTETS];
    size_t size = name_size(name);
    for (size_t i = 0; i < size; i++) {
        lower[i] = name_lower(name[i]);
    }
    XXH128_canonical_t canonical;
    struct image_hash hash;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(lower, size));
    memcpy(hash.octets, canonical.digest, sizeof hash.octets);
    return hash;
}

void image_name_shard(unsigned shard, char name[static IMAGE_NAME_MAX])
{
    snprintf(name, IMAGE_NAME_MAX, "shard-%02x.images", shard & 0xff);
}

void image_name_zone(const struct image_hash *hash, char name[static IMAGE_NAME_MAX])
{
    char *out = name + sprintf(name, "zone-");
    for (size_t i = 0; i < sizeof hash->octets; i++) {
        out += sprintf(out, "%02x", hash->octets[i]);
    }
    memcpy(out, ".image", sizeof ".image");
}

bool image_name_read(const char *name, unsigned *shard, bool *large)
{
    static const char digits[] = "0123456789abcdef";
    *large = strncmp(name, "zone-", 5) == 0;
    if (!*large && strncmp(name, "shard-", 6) != 0) {
        return false;
    }
    const char *hex = name + (*large ? 5 : 6);
    size_t count = strspn(hex, digits);
    if (count != (*large ? 32 : 2) || strcmp(hex + count, *large ? ".image" : ".images") != 0) {
        return false;
    }
    *shard = (unsigned)(strchr(digits, hex[0]) - digits) * 16 +
             (unsigned)(strchr(digits, hex[1]) - digits);
    return true;
}
