#include "zone/dump.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/rdata_print.h"

enum { LINE_ROOM = RDATA_TEXT_MAX + NAME_MAX_TEXT + 64 };

struct dump {
    FILE *out;
    uint8_t *rdata; /* room for RDATA_MAX octets */
    uint8_t *line;  /* room for LINE_ROOM */
};

static int dump_rrset(struct dump *dump, const uint8_t *name, const struct rrset *rrset)
{
    char owner[NAME_MAX_TEXT], type[RRTYPE_TEXT_MAX];
    size_t owner_size = name_to_text(name, owner);
    rrtype_to_text(rrset->type, type);
    size_t position = 0, record = 0;
    int size;
    for (; (size = rrset_rdata(rrset, name, &position, dump->rdata)) >= 0; record = position) {
        struct wire_writer line = wire_writer_init(dump->line, LINE_ROOM);
        char middle[64];
        uint32_t ttl = wire_get_u32(rrset->block + record + 6); /* signatures have their own */
        int middle_size = snprintf(middle, sizeof middle, "\t%u\tIN\t%s\t", ttl, type);
        wire_write_octets(&line, owner, owner_size);
        wire_write_octets(&line, middle, (size_t)middle_size);
        rdata_print(rrset->type, dump->rdata, (size_t)size, &line);
        wire_write_u8(&line, '\n');
        if (line.failed) {
            errno = EOVERFLOW;
            return RR_EIO;
        }
        if (fwrite(line.data, 1, line.pos, dump->out) != line.pos) {
            return RR_EIO;
        }
    }
    return RR_OK;
}

static int dump_node(struct dump *dump, const struct zone *zone, const struct node *node)
{
    uint8_t name[NAME_MAX_OCTETS];
    node_name(zone, node, name);
    bool apex = (node->flags & NODE_APEX) != 0;
    int error = RR_OK;
    if (apex) {
        error = dump_rrset(dump, name, node_rrset(node, RRTYPE_SOA));
    }
    const struct rrset *rrset = node_first_rrset(node);
    for (unsigned i = 0; i < node->rrsets && error == RR_OK; i++, rrset = rrset_next(rrset)) {
        if (!apex || rrset->type != RRTYPE_SOA) {
            error = dump_rrset(dump, name, rrset);
        }
    }
    return error;
}

int zone_dump(const struct zone *zone, FILE *out)
{
    struct dump dump = {.out = out, .rdata = malloc(RDATA_MAX), .line = malloc(LINE_ROOM)};
    int error = dump.rdata != NULL && dump.line != NULL ? RR_OK : RR_ENOMEM;
    const struct node *node = zone_first(zone);
    while (node != NULL && error == RR_OK) {
        error = dump_node(&dump, zone, node);
        node = zone_next(zone, node);
    }
    free(dump.rdata);
    free(dump.line);
    if (error == RR_OK && fflush(out) != 0) {
        error = RR_EIO;
    }
    return error;
}
