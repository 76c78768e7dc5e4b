
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/counters.h"
#include "model/state.h"


static ngx_str_t  ngx_http_approval_states[] = {
#define LIFE_STATE(name, text, place, refusal)  ngx_string(text),
#include "model/life.def"
    ngx_string("unknown")
};


static const u_char  ngx_http_approval_places[] = {
#define LIFE_STATE(name, text, place, refusal)  place,
#include "model/life.def"
};


const ngx_http_approval_move_t  ngx_http_approval_moves[] = {
#define LIFE_MOVE(from, to, by, when, record, counter, also)                  \
    { NGX_HTTP_APPROVAL_##from, NGX_HTTP_APPROVAL_##to, #by, #when,           \
      APPROVAL_RECORD_##record, NGX_HTTP_APPROVAL_COUNT_##counter },
#include "model/life.def"
    { NGX_HTTP_APPROVAL_UNKNOWN, NGX_HTTP_APPROVAL_UNKNOWN, NULL, NULL,
      APPROVAL_RECORD_REQUESTED, NGX_HTTP_APPROVAL_COUNT_NONE }
};


static const char  *ngx_http_approval_causes[] = {
    "",
#define LIFE_CAUSE(name, text)  text,
#include "model/life.def"
};


ngx_str_t *
ngx_http_approval_state_name(ngx_http_approval_state_e state)
{
    if ((ngx_uint_t) state > NGX_HTTP_APPROVAL_UNKNOWN) {
        state = NGX_HTTP_APPROVAL_UNKNOWN;
    }

    return &ngx_http_approval_states[state];
}


ngx_http_approval_state_e
ngx_http_approval_state_parse(ngx_str_t *name)
{
    ngx_str_t                  *s;
    ngx_http_approval_state_e   state;

    for (state = 0; state < NGX_HTTP_APPROVAL_UNKNOWN; state++) {
        s = &ngx_http_approval_states[state];

        if (name->len == s->len
            && ngx_memcmp(name->data, s->data, s->len) == 0)
        {
            break;
        }
    }

    return state;
}


ngx_uint_t
ngx_http_approval_state_terminal(ngx_http_approval_state_e state)
{
    const ngx_http_approval_move_t  *move;

    for (move = ngx_http_approval_moves; move->by; move++) {
        if (move->from == state) {
            return 0;
        }
    }

    return 1;
}


u_char
ngx_http_approval_state_place(ngx_http_approval_state_e state)
{
    return ngx_http_approval_places[state];
}


const ngx_http_approval_move_t *
ngx_http_approval_move(ngx_http_approval_state_e from,
    ngx_http_approval_state_e to)
{
    const ngx_http_approval_move_t  *move;

    for (move = ngx_http_approval_moves; move->by; move++) {
        if (move->to == to
            && (move->from == from || from == NGX_HTTP_APPROVAL_UNKNOWN))
        {
            break;
        }
    }

    return move;
}


const char *
ngx_http_approval_cause_name(ngx_http_approval_cause_e cause)
{
    return ngx_http_approval_causes[cause];
}
