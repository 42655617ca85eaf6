/*
 * Images: whatever they hold they are refused, or answers from them are well formed.
 *
 * The checks are so strict that chance alone never finds an image that passes. So an input is a
 * list of changes to a good one: the first octet chooses which, then each four octets are a place
 * (big-endian), what is done there, and with which value. Where the first octet names no zone the
 * rest is all that follows the header.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "zone/image.h"
#include "zones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = sizeof(struct image_header), CHANGE = 4, CHANGES_MAX = 64 };

static struct desk desk;

struct image {
    uint8_t *data;
    size_t size;
};

static struct image image_copy(const void *arena, size_t size)
{
    struct image image = {malloc(HEAD + size), HEAD + size};
    desk_require(image.data != NULL, "no memory");
    if (size > 0) {
        memcpy(image.data + HEAD, arena, size);
    }
    return image;
}

static struct image image_good(size_t index)
{
    static struct zone *zones[FUZZ_ZONES_SMALL];
    if (zones[index] == NULL) {
        zones[index] = fuzz_zone(index);
    }
    return image_copy(zones[index]->arena.base, zones[index]->arena.used);
}

static void change(const struct image *image, const uint8_t *step)
{
    size_t room = image->size - HEAD - 16;
    size_t place = ((size_t)step[0] << 8 | step[1]) % room;
    uint8_t *at = image->data + HEAD + place, value = step[3];
    uint16_t word;
    uint32_t number;
    switch (step[2] % 8) {
    case 0:
        *at = value;
        break;
    case 1:
        *at ^= value;
        break;
    case 2:
        *at = (uint8_t)(*at + value);
        break;
    case 3:
        word = value;
        memcpy(at, &word, sizeof word);
        break;
    case 4:
        memcpy(&word, at, sizeof word);
        word = (uint16_t)(word + (int8_t)value);
        memcpy(at, &word, sizeof word);
        break;
    case 5:
        memcpy(&number, at, sizeof number);
        number += (uint32_t)(int32_t)(int8_t)value;
        memcpy(at, &number, sizeof number);
        break;
    case 6: /* a placeholder */
        wire_put_u16(at, (uint16_t)(0xc000 | (unsigned)(step[2] / 8) << 8 | value));
        break;
    default: /* something from elsewhere */
        memmove(at, image->data + HEAD + (size_t)value * 8 % room, 1u + step[2] / 16u);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct image image;
    if (data[0] < FUZZ_ZONES_SMALL) {
        image = image_good(data[0]);
        for (size_t at = 1; at + CHANGE <= size && at < CHANGES_MAX * CHANGE; at += CHANGE) {
            change(&image, data + at);
        }
    } else {
        image = image_copy(data + 1, size - 1);
    }
    struct image_header header;
    image_header(image.data + HEAD, image.size - HEAD, NULL, &header);
    memcpy(image.data, &header, HEAD);

    struct diag diag = {0};
    struct zone *zone;
    if (image_parse("fuzz", image.data, image.size, 1, &zone, &diag) == 0) {
        desk_walk(&desk, zone, desk_check_answer, NULL);
    }
    diag_clear(&diag);
    free(image.data);
    return 0;
}
