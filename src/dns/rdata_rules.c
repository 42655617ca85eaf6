/*
 * Rules that keep a slip of the pen out of a served zone, each from its RFC: a DS whose digest is
 * cut short would make a delegation bogus, and nobody would see why.
 */
#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

/* Digest octets by DS digest type (RFC 4509, 5933, 6605); 0: any number. */
static bool ds_ok(const uint8_t *rdata, size_t size)
{
    static const uint8_t lengths[] = {0, 20, 32, 32, 48};
    unsigned length = rdata[3] < sizeof lengths ? lengths[rdata[3]] : 0;
    return length == 0 || size == 4 + length;
}

/* At least 12 octets; SHA-384 and SHA-512 their own (RFC 8976 sections 2.2.4 and 5.3). */
static bool zonemd_ok(const uint8_t *rdata, size_t size)
{
    switch (rdata[5]) {
    case 1:
        return size == 6 + 48;
    case 2:
        return size == 6 + 64;
    default:
        return size >= 6 + 12;
    }
}

/* One or two character-strings (RFC 1183 section 3.2). */
static bool isdn_ok(const uint8_t *rdata, size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < 2 && at < size; i++) {
        at += 1u + rdata[at];
    }
    return size > 0 && at == size;
}

static bool loc_size_ok(uint8_t value)
{
    return value >> 4 <= 9 && (value & 15) <= 9;
}

/* Version 0 is the only one there is (RFC 1876 section 2). Angles in 1/1000 of a second. */
static bool loc_ok(const uint8_t *rdata, size_t size)
{
    const uint32_t zero = UINT32_C(1) << 31;
    if (size != 16 || rdata[0] != 0) {
        return false;
    }
    uint32_t latitude = wire_get_u32(rdata + 4), longitude = wire_get_u32(rdata + 8);
    uint32_t north = latitude > zero ? latitude - zero : zero - latitude;
    uint32_t east = longitude > zero ? longitude - zero : zero - longitude;
    return loc_size_ok(rdata[1]) && loc_size_ok(rdata[2]) && loc_size_ok(rdata[3]) &&
           north <= 90u * 3600 * 1000 && east <= 180u * 3600 * 1000;
}

/* Items of family, prefix, negation and length, address without trailing zeros (RFC 3123). */
static bool apl_ok(const uint8_t *rdata, size_t size)
{
    while (size > 0) {
        if (size < 4) {
            return false;
        }
        unsigned family = wire_get_u16(rdata), prefix = rdata[2], length = rdata[3] & 0x7f;
        if (size < 4 + length || (length > 0 && rdata[3 + length] == 0) ||
            (family == 1 && (length > 4 || prefix > 32)) ||
            (family == 2 && (length > 16 || prefix > 128))) {
            return false;
        }
        rdata += 4 + length;
        size -= 4 + length;
    }
    return true;
}

/* RFC 4025 section 2.1: precedence, gateway type, algorithm, gateway, key. */
static bool ipseckey_ok(const uint8_t *rdata, size_t size)
{
    if (size < 3 || rdata[1] > 3) {
        return false;
    }
    size_t gateway = rdata[1] == 1 ? 4 : rdata[1] == 2 ? 16 : 0;
    if (rdata[1] == 3) {
        gateway = name_check(rdata + 3, size - 3);
        if (gateway == 0) {
            return false;
        }
    }
    return size >= 3 + gateway && (rdata[2] == 0) == (size == 3 + gateway);
}

/* RFC 8005 section 5: lengths and algorithm, HIT, key, then names to the end. */
static bool hip_ok(const uint8_t *rdata, size_t size)
{
    if (size < 4) {
        return false;
    }
    size_t at = 4 + (size_t)rdata[0] + wire_get_u16(rdata + 2);
    if (rdata[0] == 0 || wire_get_u16(rdata + 2) == 0 || at > size) {
        return false;
    }
    while (at < size) {
        size_t name = name_check(rdata + at, size - at);
        if (name == 0) {
            return false;
        }
        at += name;
    }
    return true;
}

static bool rare_ok(uint16_t type, const uint8_t *rdata, size_t size)
{
    switch (type) {
    case RRTYPE_WKS:
        return size >= 5 && size <= 5 + 8192;
    case RRTYPE_ISDN:
        return isdn_ok(rdata, size);
    case RRTYPE_NSAP:
        return size > 0;
    case RRTYPE_LOC:
        return loc_ok(rdata, size);
    case RRTYPE_APL:
        return apl_ok(rdata, size);
    case RRTYPE_IPSECKEY:
        return ipseckey_ok(rdata, size);
    case RRTYPE_HIP:
        return hip_ok(rdata, size);
    case RRTYPE_NID:
    case RRTYPE_L64:
        return size == 10;
    case RRTYPE_EUI48:
        return size == 6;
    case RRTYPE_EUI64:
        return size == 8;
    default:
        return true;
    }
}

const char *rdata_rules_fault(uint16_t type, const uint8_t *rdata, size_t size)
{
    switch (type) {
    case RRTYPE_DS:
    case RRTYPE_CDS:
        return ds_ok(rdata, size) ? NULL : "the digest has not the length of its digest type";
    case RRTYPE_ZONEMD:
        return zonemd_ok(rdata, size) ? NULL : "the digest has not the length of its hash";
    case RRTYPE_KEY: /* only one that says so in its flags (RFC 2535 section 3.1.2) */
        return size > 4 || (rdata[0] & 0xc0) == 0xc0 ? NULL : "the key is empty";
    case RRTYPE_URI:
        return size > 4 ? NULL : "the target is empty";
    default:
        return rare_ok(type, rdata, size) ? NULL : "the data does not fit its type";
    }
}
