/*
 * Key files: any text is either a key or has a fault that is told. A text that begins with P is a
 * .private file's (as those do), read for a key of each kind; any other is a .key file's, and a key
 * that it gives is what its RDATA says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dnssec/key_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The public keys of RFC 5702, 6605 and 8080. */
static const char *const publics[] = {
    "example.net. IN DNSKEY 256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36Bponcwtk"
    "Z4cAgtvd4Qs8PkxUdp6p/DlUmObdk=",
    "example.net. IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wN"
    "cP+e+MAnLr+Wi9xMWyQLc8NAA==",
    "example.com. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
};

static void require(int good)
{
    if (!good) {
        abort();
    }
}

static void read_private(const char *public, const char *text, size_t size)
{
    struct dnskey key;
    struct diag diag = {0};
    require(keyfile_parse_public("x.key", public, strlen(public), &key, &diag) == 0);
    int error = keyfile_parse_private("x.private", text, size, &key, &diag);
    require((error != 0) == (diag.faults > 0));
    require((error == 0) == (key.private != NULL));
    dnskey_clear(&key);
    diag_clear(&diag);
}

static void read_public(const char *text, size_t size)
{
    struct dnskey key, again;
    struct diag diag = {0};
    const char *reason;
    int error = keyfile_parse_public("x.key", text, size, &key, &diag);
    require((error != 0) == (diag.faults > 0));
    if (error == 0) {
        require(dnskey_from_rdata(key.owner, key.rdata, key.rdata_size, &again, &reason) == 0);
        require(again.tag == key.tag && key.private == NULL);
    }
    dnskey_clear(&key);
    diag_clear(&diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    if (size > 0 && text[0] == 'P') {
        for (size_t i = 0; i < sizeof publics / sizeof publics[0]; i++) {
            read_private(publics[i], text, size);
        }
    } else {
        read_public(text, size);
    }
    return 0;
}
