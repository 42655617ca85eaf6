#include "serve/chaos.h"

#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

static const char *chaos_text(const uint8_t *name, const struct settings *settings)
{
    if (name_equal(name, (const uint8_t *)"\7version\4bind") ||
        name_equal(name, (const uint8_t *)"\7version\6server")) {
        return settings->version;
    }
    if (name_equal(name, (const uint8_t *)"\10hostname\4bind") ||
        name_equal(name, (const uint8_t *)"\2id\6server")) {
        return settings->hostname;
    }
    return "";
}

void chaos_plan(struct answer *a, const struct settings *settings)
{
    uint16_t qtype = a->query->qtype;
    const char *text = chaos_text(query_name(a->query), settings);
    size_t size = strnlen(text, 255);
    if (size == 0 || (qtype != RRTYPE_TXT && qtype != RRTYPE_ANY)) {
        a->plan.rcode = RCODE_REFUSED;
        return;
    }
    struct rrset *rrset = scratch_back(a->scratch, sizeof *rrset + RECORD_HEAD + 1 + size);
    struct plan_item *item = scratch_front(a->scratch, sizeof *item);
    if (rrset == NULL || item == NULL) {
        a->plan.failed = true;
        return;
    }
    *rrset = (struct rrset){
        .type = RRTYPE_TXT,
        .count = 1,
        .block_size = (uint32_t)(RECORD_HEAD + 1 + size),
    };
    uint8_t *record = rrset->block;
    wire_put_u16(record + 2, RRTYPE_TXT);
    wire_put_u16(record + 4, CLASS_CH);
    wire_put_u32(record + 6, 0);
    wire_put_u16(record + 10, (uint16_t)(1 + size));
    record[RECORD_HEAD] = (uint8_t)size;
    memcpy(record + RECORD_HEAD + 1, text, size);
    *item = (struct plan_item){
        .rrset = rrset,
        .place = a->name.place,
        .owner_size = a->name.place.size,
    };
    a->plan.items = item;
    a->plan.answer = 1;
    a->plan.aa = true;
}
