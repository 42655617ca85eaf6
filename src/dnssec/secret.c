/*
 * Two kinds. What lives long, the keys themselves, is in OpenSSL's secure heap, where OpenSSL puts
 * them by itself (but for the numbers of RSA keys read from files, which it has in ordinary memory
 * and wipes). What lives for the length of a function, such as the text of a key file, gets pages
 * of its own: they come and go with a system call, and a file is not bounded by what the heap has.
 */
#include "dnssec/secret.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <openssl/crypto.h>

#include "base/err.h"

enum {
    /*
     * A key of P-256 takes 64 octets in it, so the small one has room for 65,000 zones, the large
     * one for a million; when it is full OpenSSL makes and reads no more keys. Locked page by page
     * as used, but counted whole against RLIMIT_MEMLOCK, by default 8 MiB.
     */
    HEAP_SMALL = 4 << 20,
    HEAP_LARGE = 64 << 20,
    HEAP_LEAST = 32, /* octets of its smallest blocks */
    BESIDE = 4 << 20, /* to be locked for a moment each: texts */
    ROOM_FOR_ONE = 4096, /* octets that no key needs more of */
};

/* As large as may be locked: root, as which servers are started, may raise its own limit. */
static size_t heap_size(void)
{
    struct rlimit limit;
    const rlim_t wanted = HEAP_LARGE + BESIDE;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return HEAP_SMALL;
    }
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        limit.rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max;
        return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? HEAP_LARGE : HEAP_SMALL;
    }
    return HEAP_LARGE;
}

int secret_init(void)
{
    if (CRYPTO_secure_malloc_initialized() != 0) {
        return RR_OK;
    }
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
