/* Questions in their tables. */
#include <stdlib.h>

#include "net/upstream_own.h"

static struct chain *chain_of_token(struct peer *peer, uint64_t token)
{
    return &peer->of_token[token * 0x9e3779b97f4a7c15u >> 56]; /* a place of UPSTREAM_CHAINS */
}

struct question *upstream_question_of_id(const struct connection *connection, uint16_t id)
{
    struct question *question;
    for (question = LIST_FIRST(&connection->of_id[id % UPSTREAM_CHAINS]); question != NULL;
         question = LIST_NEXT(question, of_id)) {
        if (question->id == id) {
            return question;
        }
    }
    return NULL;
}

struct question *upstream_question_of_token(struct peer *peer, uint64_t token)
{
    struct question *question;
    for (question = LIST_FIRST(chain_of_token(peer, token)); question != NULL;
         question = LIST_NEXT(question, of_token)) {
        if (question->token == token) {
            return question;
        }
    }
    return NULL;
}

void upstream_question_link(struct question *question, struct connection *connection)
{
    LIST_INSERT_HEAD(&connection->of_id[question->id % UPSTREAM_CHAINS], question, of_id);
    LIST_INSERT_HEAD(chain_of_token(connection->peer, question->token), question, of_token);
    TAILQ_INSERT_TAIL(&connection->line, question, line);
    question->connection = connection;
    connection->questions++;
}

void upstream_question_forget(struct question *question)
{
    LIST_REMOVE(question, of_token);
    TAILQ_REMOVE(&question->connection->line, question, line);
    question->forgotten = true;
    question->connection->forgotten++;
}

void upstream_question_unlink(struct question *question)
{
    struct connection *connection = question->connection;
    if (question->forgotten) {
        connection->forgotten--;
    } else {
        LIST_REMOVE(question, of_token);
        TAILQ_REMOVE(&connection->line, question, line);
    }
    LIST_REMOVE(question, of_id);
    connection->questions--;
}

struct question *upstream_question_take(struct connection *connection)
{
    struct question *question = TAILQ_FIRST(&connection->line);
    if (question != NULL) {
        upstream_question_unlink(question);
    }
    return question;
}

void upstream_questions_drop(struct connection *connection)
{
    for (size_t i = 0; i < UPSTREAM_CHAINS && connection->questions > 0; i++) {
        struct question *next;
        for (struct question *question = LIST_FIRST(&connection->of_id[i]); question != NULL;
             question = next) {
            next = LIST_NEXT(question, of_id);
            upstream_question_unlink(question);
            free(question);
        }
    }
}
