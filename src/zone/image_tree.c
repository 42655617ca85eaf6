#include "zone/image_tree.h"

static const char other_tree[] = "the search tree isn't that of the names";

void tree_walk_begin(struct tree_walk *walk, const struct radix_entry *entries, uint32_t size)
{
    walk->entries = entries;
    walk->size = size;
    walk->given = 1; /* the root */
    walk->began = 1;
    walk->depth = 0;
}

/* The ref of the first leaf under an entry; 0 where a way down leaves the tree. */
static arena_ref first_leaf(const struct tree_walk *walk, uint32_t at)
{
    for (size_t steps = 0; steps <= KEY_MAX; steps++) {
        const struct radix_entry *entry = &walk->entries[at];
        if (radix_is_leaf(entry)) {
            return entry->value;
        }
        at = entry->value;
        if (at >= walk->size) {
            break;
        }
    }
    return 0;
}

bool tree_walk_at(struct tree_walk *walk, const struct radix_entry *entries, uint32_t size,
                  arena_ref ref, arena_ref *leaf)
{
    tree_walk_begin(walk, entries, size);
    walk->given = walk->began = 0;
    const struct radix_entry *entry = entries;
    while (!radix_is_leaf(entry)) {
        uint64_t bitmap = radix_bitmap(entry);
        unsigned children = (unsigned)__builtin_popcountll(bitmap);
        uint32_t position = radix_position(entry);
        if (children == 0 || entry->value > size || children > size - entry->value ||
            position > KEY_MAX ||
            (walk->depth > 0 && position <= walk->path[walk->depth - 1].position)) {
            return false;
        }
        unsigned way =
            0; /* leaves stand in the order of refs: the last child that begins in time */
        while (way + 1 < children && first_leaf(walk, entry->value + way + 1) <= ref) {
            way++;
        }
        uint64_t left = bitmap;
        for (unsigned i = 0; i <= way; i++) {
            left &= left - 1;
        }
        walk->path[walk->depth++] = (struct tree_branch){
            .left = left, .next = entry->value + way + 1, .position = position};
        entry = &entries[entry->value + way];
    }
    *leaf = entry->value;
    return true;
}

static inline unsigned symbol_at(const uint8_t *key, size_t size, size_t position)
{
    return position < size ? key[position] : KEY_SEPARATOR;
}

/* A branch on the way down to the first leaf under it, which is the key's. */
static const char *open_branch(struct tree_walk *walk, const struct radix_entry *entry,
                               const uint8_t *key, size_t size)
{
    uint64_t bitmap = radix_bitmap(entry);
    uint32_t children = (uint32_t)__builtin_popcountll(bitmap);
    uint32_t position = radix_position(entry);
    if (walk->given == 0) {
        walk->given = walk->began = entry->value;
    }
    if (children < 2 || entry->value != walk->given || walk->given > walk->size ||
        children > walk->size - walk->given || position > KEY_MAX ||
        (walk->depth > 0 && position <= walk->path[walk->depth - 1].position) ||
        (unsigned)__builtin_ctzll(bitmap) != symbol_at(key, size, position)) {
        return other_tree;
    }
    walk->path[walk->depth++] = (struct tree_branch){
        .left = bitmap & (bitmap - 1), .next = walk->given + 1, .position = position};
    walk->given += children;
    return NULL;
}

const char *tree_walk_take(struct tree_walk *walk, const uint8_t *key, size_t size, arena_ref ref,
                           size_t common)
{
    while (walk->depth > 0 && walk->path[walk->depth - 1].left == 0) {
        walk->depth--;
    }
    const struct radix_entry *entry = walk->entries;
    if (walk->depth > 0) {
        struct tree_branch *branch = &walk->path[walk->depth - 1];
        if (branch->position != common ||
            (unsigned)__builtin_ctzll(branch->left) != symbol_at(key, size, common)) {
            return other_tree;
        }
        branch->left &= branch->left - 1;
        entry += branch->next++;
    }
    while (!radix_is_leaf(entry)) {
        const char *fault = open_branch(walk, entry, key, size);
        if (fault != NULL) {
            return fault;
        }
        entry = &walk->entries[entry->value];
    }
    return entry->low == 0 && entry->meta == (uint32_t)1 << RADIX_LEAF_BIT && entry->value == ref
               ? NULL
               : other_tree;
}

bool tree_walk_ended(const struct tree_walk *walk)
{
    for (size_t i = 0; i < walk->depth; i++) {
        if (walk->path[i].left != 0) {
            return false;
        }
    }
    return walk->given == walk->size;
}

bool tree_walk_meets(const struct tree_walk *before, const struct tree_walk *begin,
                     struct tree_walk *after)
{
    if (before->depth != begin->depth || (after->began != 0 && after->began != before->given)) {
        return false;
    }
    for (size_t i = 0; i < before->depth; i++) {
        const struct tree_branch *a = &before->path[i], *b = &begin->path[i];
        if (a->left != b->left || a->next != b->next || a->position != b->position) {
            return false;
        }
    }
    if (after->given == 0) {
        after->given = before->given;
    }
    return true;
}
