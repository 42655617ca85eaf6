/*
 * Service parameters of SVCB and HTTPS records in wire form (RFC 9460 sections 2.2, 7 and 8).
 */
#include "dns/rdata.h"
#include "dns/wire.h"

const char *rdata_svc_name(unsigned key)
{
    static const char *const names[] = {
        [SVC_MANDATORY] = "mandatory",
        [SVC_ALPN] = "alpn",
        [SVC_NO_DEFAULT_ALPN] = "no-default-alpn",
        [SVC_PORT] = "port",
        [SVC_IPV4HINT] = "ipv4hint",
        [SVC_ECH] = "ech",
        [SVC_IPV6HINT] = "ipv6hint",
        [SVC_DOHPATH] = "dohpath",
        [SVC_OHTTP] = "ohttp",
    };
    return key < sizeof names / sizeof names[0] ? names[key] : NULL;
}

/*
 * Whether the key is among the parameters, which are known to be whole and in order. *at is where
 * to begin and is moved to where the key stands or would, so that ascending keys cost one pass.
 */
static bool has_key(const uint8_t *data, size_t size, size_t *at, unsigned key)
{
    while (*at < size && wire_get_u16(data + *at) < key) {
        *at += 4u + wire_get_u16(data + *at + 2);
    }
    return *at < size && wire_get_u16(data + *at) == key;
}

static bool alpn_ok(const uint8_t *value, size_t size)
{
    size_t at = 0;
    while (at < size) {
        if (value[at] == 0) {
            return false;
        }
        at += 1u + value[at];
    }
    return size > 0 && at == size;
}

static const char *mandatory_fault(const uint8_t *data, size_t size, const uint8_t *value,
                                   size_t value_size)
{
    int before = SVC_MANDATORY;
    size_t among = 0;
    if (value_size == 0 || value_size % 2 != 0) {
        return "mandatory: the list of keys is empty or malformed";
    }
    for (size_t at = 0; at < value_size; at += 2) {
        int key = wire_get_u16(value + at);
        if (key <= before) {
            return "mandatory: a key is listed twice, out of order, or is mandatory itself";
        }
        if (!has_key(data, size, &among, (unsigned)key)) {
            return "mandatory: a key in the list is not among the parameters";
        }
        before = key;
    }
    return NULL;
}

static const char *value_fault(unsigned key, const uint8_t *value, size_t size)
{
    switch (key) {
    case SVC_ALPN:
        return alpn_ok(value, size) ? NULL : "alpn: the list or one of its protocols is empty";
    case SVC_NO_DEFAULT_ALPN:
        return size == 0 ? NULL : "no-default-alpn takes no value";
    case SVC_PORT:
        return size == 2 ? NULL : "port: not a number of 16 bits";
    case SVC_IPV4HINT:
        return size > 0 && size % 4 == 0 ? NULL : "ipv4hint: not a list of addresses";
    case SVC_ECH:
        return size > 0 ? NULL : "ech: the value is empty";
    case SVC_IPV6HINT:
        return size > 0 && size % 16 == 0 ? NULL : "ipv6hint: not a list of addresses";
    case SVC_DOHPATH:
        return size > 0 ? NULL : "dohpath: the value is empty";
    case SVC_OHTTP:
        return size == 0 ? NULL : "ohttp takes no value";
    case SVC_INVALID:
        return "key65535 is reserved (RFC 9460 section 14.3.2)";
    default:
        return NULL;
    }
}

/* Whole parameters with ascending keys. */
static const char *shape_fault(const uint8_t *data, size_t size)
{
    int before = -1;
    for (size_t at = 0; at < size;) {
        if (size - at < 4 || size - at - 4 < wire_get_u16(data + at + 2)) {
            return "a service parameter is cut short";
        }
        int key = wire_get_u16(data + at);
        if (key <= before) {
            return key == before ? "a service parameter is given twice"
                                 : "service parameters are out of order";
        }
        before = key;
        at += 4u + wire_get_u16(data + at + 2);
    }
    return NULL;
}

const char *rdata_svcb_fault(const uint8_t *data, size_t size)
{
    const char *fault = shape_fault(data, size);
    size_t alpn = 0;
    for (size_t at = 0, step; at < size && fault == NULL; at += step) {
        unsigned key = wire_get_u16(data + at);
        unsigned length = wire_get_u16(data + at + 2);
        step = 4u + length;
        fault = key == SVC_MANDATORY ? mandatory_fault(data, size, data + at + 4, length)
                                     : value_fault(key, data + at + 4, length);
        if (key == SVC_NO_DEFAULT_ALPN && !has_key(data, size, &alpn, SVC_ALPN)) {
            fault = "no-default-alpn needs alpn";
        }
    }
    return fault;
}
