/*
 * inet_pton and inet_ntop do the work: getaddrinfo would take host names, read /etc and ask
 * resolvers, perhaps ourselves.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static int parse_port(const char *text, uint16_t *port)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0') {
        return RR_EINVAL;
    }
    unsigned long value = digits <= 5 ? strtoul(text, NULL, 10) : 0;
    if (value == 0 || value > 65535) {
        return RR_ERANGE;
    }
    *port = (uint16_t)value;
    return RR_OK;
}

static int parse_v6(char *host, struct sockaddr_in6 *v6)
{
    char *scope = strchr(host, '%');
    if (scope != NULL) {
        *scope++ = '\0';
        char *end;
        unsigned long index = strtoul(scope, &end, 10);
        v6->sin6_scope_id = if_nametoindex(scope);
        if (v6->sin6_scope_id == 0 && *scope != '\0' && *end == '\0' && index <= UINT32_MAX) {
            v6->sin6_scope_id = (uint32_t)index;
        }
        if (v6->sin6_scope_id == 0) {
            return RR_EINVAL;
        }
    }
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? RR_OK : RR_EINVAL;
}

/*
 * Cuts text into host (copied, room for ADDRESS_TEXT_MAX) and what follows its colon (NULL: no
 * port). Two colons without brackets are an IPv6 address alone.
 */
static int split(const char *text, char *host, const char **port, bool *brackets)
{
    const char *end;
    *port = NULL;
    *brackets = *text == '[';
    if (*brackets) {
        end = strchr(++text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return RR_EINVAL;
        }
        *port = end[1] == ':' ? end + 2 : NULL;
    } else {
        end = strchr(text, ':');
        if (end == NULL || strchr(end + 1, ':') != NULL) {
            end = text + strlen(text);
        } else {
            *port = end + 1;
        }
    }
    if ((size_t)(end - text) >= ADDRESS_TEXT_MAX) {
        return RR_EINVAL;
    }
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    return RR_OK;
}

int address_parse(const char *text, uint16_t port, struct sockaddr_storage *address,
                  socklen_t *size)
{
    char host[ADDRESS_TEXT_MAX];
    const char *port_text;
    bool brackets;
    if (split(text, host, &port_text, &brackets) != 0) {
        return RR_EINVAL;
    }
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = !brackets && inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    if (!is_v4 && parse_v6(host, &v6) != 0) {
        return RR_EINVAL;
    }
    int error = port_text != NULL ? parse_port(port_text, &port) : RR_OK;
    if (error != 0) {
        return error;
    }
    v4.sin_port = v6.sin6_port = htons(port);
    memset(address, 0, sizeof *address);
    *size = is_v4 ? sizeof v4 : sizeof v6;
    memcpy(address, is_v4 ? (const void *)&v4 : (const void *)&v6, *size);
    return RR_OK;
}

void address_format(const struct sockaddr *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        char scope[IF_NAMESIZE + 1] = "";
        if (v6.sin6_scope_id != 0) {
            scope[0] = '%';
            if (if_indextoname(v6.sin6_scope_id, scope + 1) == NULL) {
                snprintf(scope + 1, sizeof scope - 1, "%u", v6.sin6_scope_id);
            }
        }
        snprintf(text, ADDRESS_TEXT_MAX, "[%s%s]:%u", host, scope, ntohs(v6.sin6_port));
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4.sin_port));
    }
}
