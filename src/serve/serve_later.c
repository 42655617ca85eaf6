/*
 * Answers that need fresh signatures, after all others have left: within a budget, and beyond it
 * for clients that are known.
 */
#include <string.h>

#include "answer/prove_online.h"
#include "serve/budget.h"
#include "serve/cookie.h"
#include "serve/serve_own.h"

void serve_sign_one(struct serve *s, struct slot *slot, uint32_t wall)
{
    struct answer *a = &slot->answer;
    for (const struct sign_request *r = a->requests; r != NULL; r = r->next) {
        int made = prove_online_make(a, r, s->desk, wall);
        if (made < 0) {
            counter_add(s->counters, COUNTER_signatures_failed, 1);
            serve_plan_error(&a->plan, RCODE_SERVFAIL, EDE_OTHER);
            break;
        }
        counter_add(s->counters, COUNTER_signatures_made, (uint64_t)made);
    }
    a->requests = NULL;
}

unsigned serve_cost(const struct slot *slot)
{
    unsigned cost = 0;
    for (const struct sign_request *r = slot->answer.requests; r != NULL; r = r->next) {
        cost += r->signing->cost;
    }
    return cost;
}

/* Whether the client has shown that it is where it says. */
static bool is_known(const struct world *world, const struct slot *slot,
                     const struct serve_request *request, uint32_t wall)
{
    uint8_t cookie[COOKIE_SIZE];
    return slot->query.cookie_size > 0 && world->settings.cookies &&
           cookie_check(&world->settings, &slot->query, request->peer, wall, cookie) ==
               COOKIE_VALID;
}

/* Says nothing but that TCP is the way. */
static void turn_away(struct slot *slot)
{
    bool aa = slot->answer.plan.aa;
    slot->answer.plan = (struct plan){.truncate = true, .aa = aa, .ede = EDE_NONE};
    slot->answer.referral = false;
    slot->answer.requests = NULL;
}

/* What a zone has used of the batch's budget so far. */
static unsigned *zone_used(struct serve *s, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (s->slots[before].position == s->slots[i].position) {
            return &s->slots[before].used;
        }
    }
    return &s->slots[i].used;
}

/* Signs one answer that was left where its cost is within the budget; false where it isn't. */
static bool settle_within(struct serve *s, size_t i, struct budget *budget, uint32_t wall)
{
    struct slot *slot = &s->slots[i];
    if (!budget_take(budget, zone_used(s, i), serve_cost(slot))) {
        return false;
    }
    serve_sign_one(s, slot, wall);
    return true;
}

/* Signs one that is beyond the budget for a known client, or turns the client away. */
static void settle_beyond(struct serve *s, const struct world *world, size_t i,
                          const struct serve_request *request, struct budget *budget,
                          uint32_t wall)
{
    struct slot *slot = &s->slots[i];
    if (is_known(world, slot, request, wall)) {
        counter_add(s->counters, COUNTER_signing_beyond, 1);
        budget_overdraw(budget, serve_cost(slot));
        serve_sign_one(s, slot, wall);
    } else {
        counter_add(s->counters, COUNTER_signing_refused, 1);
        turn_away(slot);
    }
}

bool serve_has_later(const struct serve *s)
{
    return s->later > 0;
}

/* Once over what was left: each zone has its share, or, the last time, all that there still is, and
 * who gets nothing then is turned away. */
static void settle_all(struct serve *s, const struct world *world, struct serve_request *requests,
                       size_t count, struct budget *budget, bool last, uint32_t wall)
{
    for (size_t i = 0; i < count && s->later > 0; i++) {
        if (requests[i].verdict != SERVE_LATER) {
            continue;
        }
        if (!last) {
            prove_online_retry(&s->slots[i].answer, s->desk, wall);
        }
        if (!settle_within(s, i, budget, wall)) {
            if (!last) {
                continue;
            }
            settle_beyond(s, world, i, &requests[i], budget, wall);
        }
        serve_render_one(s, world, &s->slots[i], &requests[i], wall);
        s->later--;
    }
}

unsigned serve_later(struct serve *s, const struct world *world, struct serve_request *requests,
                     size_t count, unsigned waiting, uint32_t wall)
{
    struct budget budget = budget_for(waiting);
    for (size_t i = 0; i < count; i++) {
        s->slots[i].used = 0;
        if (requests[i].verdict != SERVE_LATER) {
            requests[i].verdict = SERVE_DROP;
        }
    }
    settle_all(s, world, requests, count, &budget, false, wall);
    budget_share_rest(&budget);
    settle_all(s, world, requests, count, &budget, true, wall);
    s->later = 0;
    return budget.used;
}

void serve_sign_early(struct serve *s, const struct world *world, struct serve_request *requests,
                      size_t count, uint32_t wall)
{
    for (size_t i = 0; i < count && s->later > 0; i++) {
        if (requests[i].verdict == SERVE_LATER) {
            serve_sign_one(s, &s->slots[i], wall);
            serve_render_one(s, world, &s->slots[i], &requests[i], wall);
            s->later--;
        }
    }
}
