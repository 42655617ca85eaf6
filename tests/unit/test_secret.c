/*
 * That private keys are in no memory which a core dump would have: a process that read keys of
 * every kind, signed with them and gave them back looks through all of its own memory for pieces of
 * their numbers. That it would find them is shown by a number put into ordinary memory.
 */
#include "dnssec/secret.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/err.h"
#include "dnssec/dnskey.h"
#include "dnssec/key_file.h"
#include "key_aid.h"
#include "unit.h"

static const uint8_t algorithms[] = {DNSKEY_RSASHA256,       DNSKEY_RSASHA512,
                                     DNSKEY_ECDSAP256SHA256, DNSKEY_ECDSAP384SHA384,
                                     DNSKEY_ED25519,         DNSKEY_ED448};
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

static const uint8_t owner[] = "\7example\4test";

/* ---- Looking through memory ---- */

enum { PIECE = 16, PIECES = 3, NEEDLES = 2 * PIECES * DNSKEY_NUMBERS, REGIONS = 4096 };

/* Pieces to look for; in memory that is not dumped itself. */
struct needles {
    size_t count;
    struct {
        uint8_t data[PIECE];
        unsigned number;
        bool reversed; /* as BIGNUMs have them here: lowest octet first */
    } needle[NEEDLES];
};

static void add_piece(struct needles *needles, const uint8_t *data, unsigned number)
{
    for (unsigned reversed = 0; reversed < 2; reversed++) {
        ck_assert_uint_lt(needles->count, NEEDLES);
        uint8_t *to = needles->needle[needles->count].data;
        for (unsigned i = 0; i < PIECE; i++) {
            to[i] = data[reversed != 0 ? PIECE - 1 - i : i];
        }
        needles->needle[needles->count].number = number;
        needles->needle[needles->count++].reversed = reversed != 0;
    }
}

/* The first, the last and the middle octets of a number. */
static void add_number(struct needles *needles, const uint8_t *data, size_t size, unsigned number)
{
    ck_assert_uint_ge(size, PIECE);
    add_piece(needles, data, number);
    add_piece(needles, data + (size - PIECE) / 2, number);
    add_piece(needles, data + size - PIECE, number);
}

/* What only the owner of a key knows. */
static void add_key(struct needles *needles, const struct dnskey *key)
{
    struct dnskey_private *numbers = secret_alloc(sizeof *numbers);
    ck_assert_ptr_nonnull(numbers);
    ck_assert_int_eq(dnskey_get_private(key, numbers), RR_OK);
    unsigned first = dnskey_is_rsa(key->algorithm) ? DNSKEY_PRIVATE_EXPONENT : DNSKEY_SCALAR;
    for (unsigned i = first; i < DNSKEY_NUMBERS && numbers->number[i].size > 0; i++) {
        add_number(needles, numbers->number[i].data, numbers->number[i].size, i);
    }
    secret_free(numbers, sizeof *numbers);
}

struct region {
    uintptr_t from, to;
};

/* Mappings that can be read and are not kept out of core dumps. Returns how many. */
static size_t dumped_regions(struct region *regions)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512], rights[8], name[256];
    struct region region = {0};
    bool readable = false;
    size_t count = 0;
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        name[0] = '\0';
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, rights, name) >= 3) {
            region = (struct region){from, to};
            readable = rights[0] == 'r' && strcmp(name, "[vvar]") != 0;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && readable && strstr(line, " dd") == NULL &&
                   strstr(line, " io") == NULL) {
            ck_assert_uint_lt(count, REGIONS);
            regions[count++] = region;
        }
    }
    fclose(maps);
    return count;
}

/* The octets from `from` on that begin with a needle, and its index; NULL: none. Reads what is no
 * object of the program's, which sanitizers would stop, and so calls nothing. */
__attribute__((no_sanitize("address", "thread"))) static const uint8_t *
next_piece(const struct needles *needles, const uint8_t *from, const uint8_t *to, size_t *which)
{
    bool first[256] = {false};
    for (size_t n = 0; n < needles->count; n++) {
        first[needles->needle[n].data[0]] = true;
    }
    for (; to - from >= PIECE; from++) {
        for (size_t n = 0; first[*from] && n < needles->count; n++) {
            size_t same = 0;
            while (same < PIECE && from[same] == needles->needle[n].data[same]) {
                same++;
            }
            if (same == PIECE) {
                *which = n;
                return from;
            }
        }
    }
    return NULL;
}

/* How often the needles are in memory that is dumped; each time is told. */
static unsigned find(const struct needles *needles, const char *when)
{
    static struct region regions[REGIONS];
    unsigned found = 0;
    size_t count = dumped_regions(regions), n;
    for (size_t r = 0; r < count; r++) {
        const uint8_t *at = (const uint8_t *)regions[r].from;
        while ((at = next_piece(needles, at, (const uint8_t *)regions[r].to, &n)) != NULL) {
            printf("%s: number %u%s at %p\n", when, needles->needle[n].number,
                   needles->needle[n].reversed ? " reversed" : "", (const void *)at);
            fflush(stdout); /* Check ends a test that fails with _exit */
            found++;
            at += PIECE;
        }
    }
    return found;
}

/* ---- Keys ---- */

static void *sign_some(void *argument)
{
    const struct dnskey *key = argument;
    static const uint8_t data[] = "data";
    uint8_t signature[DNSKEY_SIGNATURE_MAX];
    struct dnskey_signer *signer = dnskey_signer_new(key);
    for (int i = 0; i < 8; i++) {
        if (dnskey_sign(signer, data, sizeof data, signature) != RR_OK) {
            return NULL;
        }
    }
    dnskey_signer_free(signer);
    return argument;
}

static void sign_in_a_thread(struct dnskey *key)
{
    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, sign_some, key), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, key);
}

START_TEST(keys_in_no_dump)
{
    struct needles *needles = secret_alloc(sizeof *needles);
    char name[KEYFILE_NAME_MAX];
    struct dnskey made, key;
    struct diag diag = {0};
    ck_assert_int_ne(secret_init(), RR_ENOMEM);

    int64_t times[DNSKEY_EVENTS] = {0};
    ck_assert_int_eq(keyfile_make(key_directory, owner, 257, algorithms[_i], times, &made), RR_OK);
    add_key(needles, &made);
    ck_assert_uint_eq(find(needles, "made"), 0);
    sign_in_a_thread(&made);
    ck_assert_ptr_eq(sign_some(&made), &made);
    ck_assert_uint_eq(find(needles, "made, has signed"), 0);
    dnskey_clear(&made);
    ck_assert_uint_eq(find(needles, "made, given back"), 0);

    keyfile_name(&made, name);
    strcat(name, ".key");
    ck_assert_int_eq(keyfile_read(key_path(name), &key, &diag), RR_OK);
    ck_assert_uint_eq(find(needles, "read"), 0);
    sign_in_a_thread(&key);
    ck_assert_ptr_eq(sign_some(&key), &key);
    ck_assert_uint_eq(find(needles, "read, has signed"), 0);
    dnskey_clear(&key);
    ck_assert_uint_eq(find(needles, "read, given back"), 0);
    secret_free(needles, sizeof *needles);
}
END_TEST

/* The search finds what is in ordinary memory, and not what isn't. */
START_TEST(search_finds)
{
    struct needles *needles = secret_alloc(sizeof *needles);
    uint8_t *secret = secret_alloc(64), *ordinary = malloc(64);
    ck_assert_int_ne(secret_init(), RR_ENOMEM);
    FILE *random = fopen("/dev/urandom", "r");
    setvbuf(random, NULL, _IONBF, 0);
    ck_assert_uint_eq(fread(secret, 1, 64, random), 64);
    fclose(random);
    add_number(needles, secret, 64, 0);
    ck_assert_uint_eq(find(needles, "nowhere"), 0);
    memcpy(ordinary, secret, 64);
    ck_assert_uint_eq(find(needles, "expected"), PIECES);
    for (int i = 0; i < 64; i++) {
        ordinary[i] = secret[63 - i];
    }
    ck_assert_uint_eq(find(needles, "expected"), PIECES);
    OPENSSL_cleanse(ordinary, 64);
    free(ordinary);
    secret_free(secret, 64);
    secret_free(needles, sizeof *needles);
}
END_TEST

/* With the least room: keys that don't fit are refused and say so; those that are there sign on. */
START_TEST(no_room_left)
{
    enum { KEYS = 4000 };
    static struct dnskey key[KEYS];
    struct dnskey_private *numbers = secret_alloc(sizeof *numbers);
    struct rlimit none = {0, 0};
    struct dnskey made;
    const char *reason;
    size_t count = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(setuid(65534), 0);
    }
    ck_assert_int_eq(secret_init(), RR_EPERM);
    ck_assert_int_eq(dnskey_generate(owner, 257, DNSKEY_RSASHA256, &made), RR_OK);
    ck_assert_int_eq(dnskey_get_private(&made, numbers), RR_OK);
    size_t before = CRYPTO_secure_used();
    int error = RR_OK;
    while (error == RR_OK) {
        ck_assert_uint_lt(count, KEYS);
        key[count] = made;
        key[count].private = NULL;
        error = dnskey_set_private(&key[count++], numbers, &reason);
    }
    ck_assert_int_eq(error, RR_ENOMEM);
    ck_assert_ptr_null(key[count - 1].private);
    ck_assert_str_ne(secret_strerror(error), rr_strerror(error));
    ck_assert_uint_gt(count, 500);
    ck_assert_ptr_nonnull(sign_some(&key[count - 2]));
    /* What a read one found no room in may do for a new one or two. */
    while ((error = dnskey_generate(owner, 257, DNSKEY_RSASHA256, &key[count - 1])) == RR_OK) {
        ck_assert_uint_lt(++count, KEYS);
    }
    ck_assert_int_eq(error, RR_ENOMEM);
    for (size_t i = 0; i < count; i++) {
        dnskey_clear(&key[i]);
    }
    ck_assert_uint_eq(CRYPTO_secure_used(), before);
    ck_assert_str_eq(secret_strerror(error), rr_strerror(error));
    ck_assert_int_eq(dnskey_set_private(&key[0], numbers, &reason), RR_OK);
    dnskey_clear(&key[0]);
    dnskey_clear(&made);
    secret_free(numbers, sizeof *numbers);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("secret");
    tcase_add_checked_fixture(unit.tests, key_directory_make, key_directory_remove);
    tcase_add_test(unit.tests, search_finds);
    tcase_add_loop_test(unit.tests, keys_in_no_dump, 0, ALGORITHMS);
    TCase *elsewhere = tcase_create("without directory"); /* which another user can't remove */
    tcase_add_test(elsewhere, no_room_left);
    suite_add_tcase(unit.suite, elsewhere);
    return unit_end(&unit);
}
