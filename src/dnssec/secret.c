/*
 * Two kinds. What lives long, the keys themselves, is in OpenSSL's secure heap. What lives for the
 * length of a function, such as the text of a key file, gets pages of its own: they come and go
 * with a system call, and a file is not bounded by what the heap has.
 *
 * OpenSSL puts into its secure heap by itself the numbers of keys that it makes, and those of ECDSA
 * and EdDSA keys that it is given. But RSA numbers that it is given it copies to ordinary memory
 * (EVP_PKEY_fromdata; decoding DER does not, but leaves a copy of the DER there, not even wiped),
 * and the first signature by any RSA key puts both primes there once more, for as long as the key
 * lives (Montgomery contexts; RSA_FLAG_CACHE_PRIVATE would avoid them, but can't be reached through
 * EVP). No order of calls and no flag helps against all that. So OpenSSL's allocations go through
 * here, and between secret_begin and secret_end all of a thread's are from the secure heap.
 */
#include "dnssec/secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <openssl/crypto.h>

#include "base/err.h"

enum {
    /*
     * A key of P-256 takes 64 octets in it, one of Ed25519 544 and one of RSA with 2048 bits 6 KiB:
     * the small one has room for 65,000, 7,700 or 680 keys, the large one for 64 times as many.
     * When it is full no more keys are made or read. Locked page by page as used, but counted whole
     * against RLIMIT_MEMLOCK, by default 8 MiB. Sizes are powers of two, as OpenSSL wants them.
     */
    HEAP_SMALL = 4 << 20,
    HEAP_LARGE = 256 << 20,
    HEAP_LEAST = 32, /* octets of its smallest blocks */
    BESIDE = 4 << 20, /* to be locked for a moment each: texts */
    STACK_USED = 32 << 10, /* octets of stack that a signature takes, and more: 0.5 us */
    ROOM_FOR_ONE = 64 << 10, /* octets that no key needs more of, on its way in */
};

/* ---- OpenSSL's allocations ---- */

static _Thread_local struct {
    bool secret; /* between secret_begin and secret_end */
    bool ordinary; /* something since secret_begin had to be in ordinary memory */
} thread;

static void *allocate_secret(size_t size)
{
    bool secret = thread.secret;
    thread.secret = false; /* whatever the secure heap itself might ask for */
    void *memory = OPENSSL_secure_malloc(size);
    thread.secret = secret;
    return memory;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        return NULL;
    }
    if (thread.secret) {
        void *memory = allocate_secret(size);
        if (memory != NULL) {
            return memory;
        }
        thread.ordinary = true;
    }
    return malloc(size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (CRYPTO_secure_allocated(memory)) {
        OPENSSL_secure_free(memory); /* wipes */
    } else {
        free(memory);
    }
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    if (memory == NULL) {
        return allocate(size, file, line);
    }
    if (size == 0) {
        release(memory, file, line);
        return NULL;
    }
    if (!CRYPTO_secure_allocated(memory)) {
        return realloc(memory, size);
    }
    void *moved = allocate_secret(size);
    if (moved != NULL) {
        size_t before = CRYPTO_secure_actual_size(memory);
        memcpy(moved, memory, before < size ? before : size);
        release(memory, file, line);
    }
    return moved;
}

void secret_begin(void)
{
    thread.secret = CRYPTO_secure_malloc_initialized() != 0;
}

#if defined(__has_attribute)
#if __has_attribute(zero_call_used_regs)
#define WIPES_REGISTERS __attribute__((zero_call_used_regs("all")))
#endif
#endif
#ifndef WIPES_REGISTERS
#define WIPES_REGISTERS
#endif

/* OpenSSL leaves pieces of RSA's exponents on the stack, where they might stay for long, and in
 * vector registers, from where others put them there. */
WIPES_REGISTERS __attribute__((noinline)) static void wipe_stack(void)
{
    uint8_t below[STACK_USED];
    OPENSSL_cleanse(below, sizeof below);
}

bool secret_end(void)
{
    wipe_stack();
    bool all = !thread.ordinary;
    thread.secret = thread.ordinary = false;
    return all;
}

/* ---- The secure heap ---- */

/* As large as may be locked: root, as which servers are started, may raise its own limit. */
static size_t heap_size(void)
{
    struct rlimit limit;
    const rlim_t wanted = HEAP_LARGE + BESIDE;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return HEAP_SMALL;
    }
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = {.rlim_cur = wanted,
                                .rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max};
        limit = setrlimit(RLIMIT_MEMLOCK, &raised) == 0 ? raised : limit;
    }
    size_t size = HEAP_LARGE;
    while (size > HEAP_SMALL && size + BESIDE > limit.rlim_cur) {
        size /= 2;
    }
    return size;
}

int secret_init(void)
{
    if (CRYPTO_secure_malloc_initialized() != 0) {
        return RR_OK;
    }
    /* Refused where OpenSSL has allocated before: RSA keys are then as OpenSSL has them. */
    CRYPTO_set_mem_functions(allocate, reallocate, release);
    switch (CRYPTO_secure_malloc_init(heap_size(), HEAP_LEAST)) {
    case 1:
        return RR_OK;
    case 2:
        return RR_EPERM;
    default:
        return RR_ENOMEM;
    }
}

bool secret_is_full(void)
{
    void *room = OPENSSL_secure_malloc(ROOM_FOR_ONE);
    OPENSSL_secure_free(room);
    return room == NULL;
}

const char *secret_strerror(int error)
{
    return error == RR_ENOMEM && secret_is_full()
               ? "no room for another private key in locked memory; more of it may be had by "
                 "raising RLIMIT_MEMLOCK"
               : rr_strerror(error);
}

/* ---- Pages ---- */

void *secret_alloc(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    if (madvise(memory, size, MADV_DONTDUMP) != 0) {
        munmap(memory, size);
        return NULL;
    }
    mlock(memory, size); /* where the limit is reached, the page is short-lived at least */
    return memory;
}

void secret_free(void *memory, size_t size)
{
    if (memory != NULL) {
        OPENSSL_cleanse(memory, size);
        munmap(memory, size);
    }
}
