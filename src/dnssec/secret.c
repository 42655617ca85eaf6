/*
 * Two kinds. What lives long, the keys themselves, is in OpenSSL's secure heap, where OpenSSL puts
 * them by itself (but for the numbers of RSA keys read from files, which it has in ordinary memory
 * and wipes). What lives for the length of a function, such as the text of a key file, gets pages
 * of its own: they come and go with a system call, and a file is not bounded by what the heap has.
 */
#include "dnssec/secret.h"

#include <sys/mman.h>

#include <openssl/crypto.h>

#include "base/err.h"

enum {
    /* A key of P-256 or Ed25519 takes 32 octets in it, an RSA key of 2048 bits under 2 KiB. Locked
     * page by page as used, but counted whole against RLIMIT_MEMLOCK, by default 8 MiB. */
    HEAP_SIZE = 4 << 20,
    HEAP_LEAST = 32, /* octets of its smallest blocks */
};

int secret_init(void)
{
    if (CRYPTO_secure_malloc_initialized() != 0) {
        return RR_OK;
    }
    switch (CRYPTO_secure_malloc_init(HEAP_SIZE, HEAP_LEAST)) {
    case 1:
        return RR_OK;
    case 2:
        return RR_EPERM;
    default:
        return RR_ENOMEM;
    }
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
