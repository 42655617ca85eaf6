/*
 * Tokens: what is one, where it stands, what is none, and where reading goes on after a fault.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "unit.h"
#include "zone/lexer.h"

/*
 * All tokens of text, each "kind line text" with kind e, w, q or f; the text of escaped ones with a
 * backslash after the kind. A fault ends with its message.
 */
static const char *tokens_of(const char *text, size_t size)
{
    static char out[8192];
    static struct lexer lexer;
    size_t used = 0;
    char *copy = unit_guarded(size + LEXER_SLACK);
    memcpy(copy, text, size);
    memset(copy + size, 0, LEXER_SLACK);
    lexer_init(&lexer, copy, size, 1);
    out[0] = '\0';
    for (unsigned i = 0; i < 100; i++) {
        bool at_end = lexer_at_end(&lexer);
        lexer_next(&lexer);
        const struct token *token = &lexer.token;
        used += (size_t)snprintf(out + used, sizeof out - used, "%c%s%zu", "ewqf"[token->kind],
                                 token->kind != TOKEN_END && token->kind != TOKEN_FAULT &&
                                         token->escaped ? "\\" : " ", token->line);
        if (token->kind == TOKEN_FAULT) {
            snprintf(out + used, sizeof out - used, " %zu:%s", lexer.fault.line,
                     lexer.fault.text);
            break;
        }
        if (token->kind != TOKEN_END) {
            used += (size_t)snprintf(out + used, sizeof out - used, " %.*s", (int)token->size,
                                     token->text);
        } else if (at_end) {
            break;
        }
        used += (size_t)snprintf(out + used, sizeof out - used, ", ");
    }
    unit_guarded_free(copy, size + LEXER_SLACK);
    return out;
}

#define tokens(text) tokens_of(text, sizeof(text) - 1)

START_TEST(words_and_ends)
{
    ck_assert_str_eq(tokens(""), "e 1");
    ck_assert_str_eq(tokens("a b"), "w 1 a, w 1 b, e 1");
    ck_assert_str_eq(tokens("a\n"), "w 1 a, e 1, e 2");
    ck_assert_str_eq(tokens("\n\na"), "e 1, e 2, w 3 a, e 3");
    ck_assert_str_eq(tokens("a\t b  \t\nc"), "w 1 a, w 1 b, e 1, w 2 c, e 2");
    /* long ones, over every length of the blocks they are looked for in */
    for (size_t size = 1; size < 200; size++) {
        char text[256], expected[256];
        memset(text, 'x', size);
        memcpy(text + size, " y", 3);
        snprintf(expected, sizeof expected, "w 1 %.*s, w 1 y, e 1", (int)size, text);
        ck_assert_str_eq(tokens_of(text, size + 2), expected);
    }
}
END_TEST

START_TEST(octets_of_words)
{
    /* all that ends a word does, all else does not */
    for (unsigned octet = 1; octet < 256; octet++) {
        char text[4] = {'a', (char)octet, 'b', '\0'}, expected[64];
        if (strchr("\t\n\r \"();\\", (int)octet) != NULL) {
            ck_assert_int_eq(strncmp(tokens_of(text, 3), "w 1 a,", 6) != 0, octet == '\\');
            continue;
        }
        snprintf(expected, sizeof expected, "w 1 a%cb, e 1", (int)octet);
        ck_assert_str_eq(tokens_of(text, 3), expected);
    }
}
END_TEST

START_TEST(comments)
{
    ck_assert_str_eq(tokens("; all of it\na ;(\"\n"), "e 1, w 2 a, e 2, e 3");
    ck_assert_str_eq(tokens("a;b"), "w 1 a, e 1, e 1");
    ck_assert_str_eq(tokens("a\\;b \";\""), "w\\1 a\\;b, q 1 ;, e 1");
}
END_TEST

START_TEST(line_ends)
{
    ck_assert_str_eq(tokens("a\r\nb \r\n\r\n"), "w 1 a, e 1, w 2 b, e 2, e 3, e 4");
    ck_assert_str_eq(tokens("; c\r\nb"), "e 1, w 2 b, e 2");
    ck_assert_str_eq(tokens("a\rb"), "w 1 a, f 1 1:a carriage return without a newline");
}
END_TEST

START_TEST(parentheses)
{
    ck_assert_str_eq(tokens("a ( b\n c ; )\n) d\ne"),
                     "w 1 a, w 1 b, w 2 c, w 3 d, e 3, w 4 e, e 4");
    ck_assert_str_eq(tokens("a(b)c(\n)"), "w 1 a, w 1 b, w 1 c, e 2, e 2");
    ck_assert_str_eq(tokens("((a\n)\nb)\nc"), "w 1 a, w 3 b, e 3, w 4 c, e 4");
    ck_assert_str_eq(tokens("a\n ) b"),
                     "w 1 a, e 1, f 2 2:a closing parenthesis without an opening one");
    ck_assert_str_eq(tokens("a\nb (\nc (\nd"), "w 1 a, e 1, w 2 b, w 3 c, w 4 d, f 4 2:the "
                                               "parenthesis opened here is never closed");
}
END_TEST

START_TEST(quotes)
{
    ck_assert_str_eq(tokens("\"a b\" \"\" \"c\"d\"e\""),
                     "q 1 a b, q 1 , q 1 c, w 1 d, q 1 e, e 1");
    ck_assert_str_eq(tokens("\"a\\\"b\\\\\" c"), "q\\1 a\\\"b\\\\, w 1 c, e 1");
    ck_assert_str_eq(tokens("a \"b\nc\" d\ne"), "w 1 a, q 1 b\nc, w 2 d, e 2, w 3 e, e 3");
    ck_assert_str_eq(tokens("a \"b\nc"), "w 1 a, f 1 1:the quote opened here is never closed");
    ck_assert_str_eq(tokens("\"a\\"), "f 1 1:the quote opened here is never closed");
}
END_TEST

START_TEST(escapes)
{
    ck_assert_str_eq(tokens("a\\ b\\(\\\"c d"), "w\\1 a\\ b\\(\\\"c, w 1 d, e 1");
    ck_assert_str_eq(tokens("\\"), "f 1 1:a backslash with nothing behind it");
    ck_assert_str_eq(tokens("a\\\nb"), "f 1 1:a backslash with nothing behind it");
}
END_TEST

START_TEST(nul_octets)
{
    ck_assert_str_eq(tokens("a\0b"), "w 1 a, f 1 1:a NUL octet");
    ck_assert_str_eq(tokens("a \0"), "w 1 a, f 1 1:a NUL octet");
    ck_assert_str_eq(tokens("\n\"a\n\0\"b"), "e 1, f 2 3:a NUL octet inside quotes");
    ck_assert_str_eq(tokens("a\\\0"), "f 1 1:a backslash with nothing behind it");
}
END_TEST

/* Words of the entries that are read when each entry with a word "!" in it has a fault there. */
static const char *recovered(const char *text)
{
    static char out[4096];
    static struct lexer lexer;
    size_t size = strlen(text), used = 0;
    char *copy = calloc(1, size + LEXER_SLACK);
    memcpy(copy, text, size);
    lexer_init(&lexer, copy, size, 1);
    out[0] = '\0';
    while (!lexer_at_end(&lexer)) {
        do {
            lexer_next(&lexer);
            if (lexer.token.kind == TOKEN_FAULT ||
                (lexer.token.size > 0 && lexer.token.text[0] == '!')) {
                struct lexer_fault more = {0};
                lexer_fault(&lexer, lexer.token.line, "!");
                lexer_recover(&lexer, &more);
                used += (size_t)snprintf(out + used, sizeof out - used, "<%zu:%.9s>",
                                         lexer.fault.line, lexer.fault.text);
                if (more.line != 0) {
                    used += (size_t)snprintf(out + used, sizeof out - used, "<%zu:%.9s>",
                                             more.line, more.text);
                }
                lexer.fault.line = 0;
                break;
            }
            used += (size_t)snprintf(out + used, sizeof out - used, "%.*s%s",
                                     (int)lexer.token.size, lexer.token.text,
                                     lexer.token.kind == TOKEN_END ? "|" : "");
        } while (lexer.token.kind != TOKEN_END);
    }
    free(copy);
    return out;
}

START_TEST(recovery)
{
    ck_assert_str_eq(recovered("a ! b\nc\n"), "a<1:!>c|");
    ck_assert_str_eq(recovered("a ( ! b\nc ) d\ne\n"), "a<1:!>e|");
    ck_assert_str_eq(recovered("a ) b\nc\n"), "a<1:a closing>c|");
    ck_assert_str_eq(recovered("! ) \r ( \n ) \nc\n"), "<1:!>c|");
    /* a parenthesis without end: what followed its line is read */
    ck_assert_str_eq(recovered("a (\nb\nc\n"), "abc<1:the paren>b|c|");
    /* and is the fault, where another was but its consequence, or else told as well */
    ck_assert_str_eq(recovered("a (\n!\nc\n"), "a<1:the paren><2:!>c|");
    ck_assert_str_eq(recovered("! a\n! (\nc\n"), "<1:!><2:!><2:the paren>c|");
    ck_assert_str_eq(recovered("! \n \"\nc\n"), "<1:!><2:the quote>c|");
    /* a string over several lines is likely a quote left open on the first */
    ck_assert_str_eq(recovered("a \"!\nb \"c\"\n d\n"), "a<1:!>bc|d|");
}
END_TEST

START_TEST(many_without_end)
{
    char text[128] = "", expected[2048] = "";
    for (unsigned i = 0; i < LEXER_RETRIES + 3; i++) {
        strcat(text, "(\n");
    }
    for (unsigned i = 0; i < LEXER_RETRIES; i++) {
        sprintf(expected + strlen(expected), "<%u:the paren>", i + 1);
    }
    sprintf(expected + strlen(expected), "<%u:the paren><%u:too many >", LEXER_RETRIES + 1,
            LEXER_RETRIES + 1);
    ck_assert_str_eq(recovered(text), expected);
}
END_TEST

START_TEST(messages)
{
    static struct lexer lexer;
    char text[200] = "";
    memset(text, 'x', 100);
    memcpy(text, "\001\x80\"", 2);
    lexer_init(&lexer, text, 100, 7);
    lexer_next(&lexer);
    ck_assert_int_eq(lexer_expected(&lexer, "this"), RR_EINVAL);
    ck_assert_str_eq(lexer.fault.text, "expected this, found \"\\001\\128"
                                       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"");
    ck_assert_uint_eq(lexer.fault.line, 7);
    /* the first one stays */
    lexer_fault(&lexer, 9, "another");
    ck_assert_uint_eq(lexer.fault.line, 7);
    lexer.fault.line = 0;
    lexer_next(&lexer);
    lexer_expected(&lexer, "that");
    ck_assert_str_eq(lexer.fault.text, "expected that, found the end of the file");
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("lexer");
    tcase_add_test(unit.tests, words_and_ends);
    tcase_add_test(unit.tests, octets_of_words);
    tcase_add_test(unit.tests, comments);
    tcase_add_test(unit.tests, line_ends);
    tcase_add_test(unit.tests, parentheses);
    tcase_add_test(unit.tests, quotes);
    tcase_add_test(unit.tests, escapes);
    tcase_add_test(unit.tests, nul_octets);
    tcase_add_test(unit.tests, recovery);
    tcase_add_test(unit.tests, many_without_end);
    tcase_add_test(unit.tests, messages);
    return unit_end(&unit);
}
