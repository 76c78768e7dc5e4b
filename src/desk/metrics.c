
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/metrics.h"

#include "audit/audit.h"
#include "core/version.h"
#include "model/action.h"
#include "model/counters.h"
#include "model/problem.h"
#include "store/store.h"


#define NGX_HTTP_APPROVAL_METRICS_EVERY  1000      /* ms */


/* One sample per rule, with these labels. */

typedef struct {
    const char                   *name;
    const char                   *label;      /* ,LABEL="VALUE"; or ""     */
    ngx_http_approval_counter_e   counter;
    const char                   *help;       /* NULL: as the one before   */
} ngx_http_approval_metric_t;

typedef void (*ngx_http_approval_metrics_pt)(
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_rule_t *rule,
    approval_buf_t *out, const void *data);


static void ngx_http_approval_metrics_timer(ngx_event_t *ev);
static void ngx_http_approval_metrics_sample(
    ngx_http_approval_main_conf_t *mcf);
static void ngx_http_approval_metrics_add(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_sum_e sum, ngx_uint_t value);
static void ngx_http_approval_metrics_text(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out);
static void ngx_http_approval_metrics_head(approval_buf_t *out,
    const char *name, const char *type, const char *help);
static void ngx_http_approval_metrics_each(ngx_http_approval_main_conf_t *mcf,
    ngx_uint_t mode, approval_buf_t *out,
    ngx_http_approval_metrics_pt visit, const void *data);
static void ngx_http_approval_metrics_held(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, approval_buf_t *out, const void *data);
static void ngx_http_approval_metrics_counter(
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_rule_t *rule,
    approval_buf_t *out, const void *data);
static void ngx_http_approval_metrics_rules(
    ngx_http_approval_main_conf_t *mcf, approval_buf_t *out);
static void ngx_http_approval_metrics_histogram(
    ngx_http_approval_main_conf_t *mcf, ngx_http_approval_rule_t *rule,
    approval_buf_t *out, const void *data);
static void ngx_http_approval_metrics_refused(
    ngx_http_approval_main_conf_t *mcf, approval_buf_t *out);
static void ngx_http_approval_metrics_channels(
    ngx_http_approval_main_conf_t *mcf, approval_buf_t *out);
static void ngx_http_approval_metrics_store(
    ngx_http_approval_main_conf_t *mcf, approval_buf_t *out);
static void ngx_http_approval_metrics_audit(
    ngx_http_approval_main_conf_t *mcf, approval_buf_t *out);
static void ngx_http_approval_metrics_number(approval_buf_t *out,
    const char *name, ngx_uint_t value);
static void ngx_http_approval_metrics_rule(approval_buf_t *out,
    const char *name, ngx_http_approval_rule_t *rule);
static void ngx_http_approval_metrics_label(approval_buf_t *out,
    const ngx_str_t *value);


static const ngx_http_approval_metric_t  ngx_http_approval_metrics[] = {

    { "approval_actions_created_total", "", NGX_HTTP_APPROVAL_COUNT_CREATED,
      "Actions that approvers were asked for." },

    { "approval_actions_total", ",outcome=\"executed\"",
      NGX_HTTP_APPROVAL_COUNT_EXECUTED,
      "Actions that ended, by state; counted by the gateway that ended "
      "them." },

    { "approval_actions_total", ",outcome=\"failed\"",
      NGX_HTTP_APPROVAL_COUNT_FAILED, NULL },

    { "approval_actions_total", ",outcome=\"denied\"",
      NGX_HTTP_APPROVAL_COUNT_DENIED, NULL },

    { "approval_actions_total", ",outcome=\"expired\"",
      NGX_HTTP_APPROVAL_COUNT_EXPIRED, NULL },

    { "approval_actions_total", ",outcome=\"cancelled\"",
      NGX_HTTP_APPROVAL_COUNT_CANCELLED, NULL },

    { "approval_actions_approved_total", "",
      NGX_HTTP_APPROVAL_COUNT_APPROVED,
      "Actions that people approved, whether or not they were executed." },

    { "approval_joined_total", "", NGX_HTTP_APPROVAL_COUNT_JOINED,
      "Requests that joined an open action instead of asking approvers "
      "again." },

    { "approval_accepted_total", "", NGX_HTTP_APPROVAL_COUNT_ACCEPTED,
      "Requests that were answered 202 before the decision." },

    { "approval_pending_total", "", NGX_HTTP_APPROVAL_COUNT_PENDING,
      "Requests whose hold ended before the decision, answered with the "
      "hold's status." },

    { "approval_unstored_total", "", NGX_HTTP_APPROVAL_COUNT_UNSTORED,
      "Requests passed without approval, by approval_store_failure allow." },

    { "approval_grants_total", "", NGX_HTTP_APPROVAL_COUNT_GRANTED,
      "Grants that approvals of rules with remember created." },

    { "approval_grant_uses_total", "", NGX_HTTP_APPROVAL_COUNT_GRANT_USED,
      "Requests passed by a grant." },

    { "approval_break_glass_total", "", NGX_HTTP_APPROVAL_COUNT_BREAK_GLASS,
      "Actions that one person approved alone, by break-glass." },

    { "approval_shadow_total", "", NGX_HTTP_APPROVAL_COUNT_SHADOW,
      "Requests that a rule in mode shadow would have held or refused." },

    { NULL, NULL, 0, NULL }
};


/* Per worker: the values of the sums that it has published. */

static ngx_event_t  ngx_http_approval_metrics_event;
static ngx_uint_t   ngx_http_approval_metrics_said[NGX_HTTP_APPROVAL_SUMS];


void
ngx_http_approval_metrics_start(ngx_http_approval_main_conf_t *mcf,
    ngx_log_t *log)
{
    ngx_event_t  *ev;

    if (mcf->counters == NULL) {
        return;
    }

    ngx_http_approval_counters_attach(mcf, log);

    ev = &ngx_http_approval_metrics_event;

    ev->handler = ngx_http_approval_metrics_timer;
    ev->data = (void *) mcf;
    ev->log = log;
    ev->cancelable = 1;

    ngx_http_approval_metrics_timer(ev);
}


void
ngx_http_approval_metrics_stop(ngx_http_approval_main_conf_t *mcf)
{
    if (mcf->counters == NULL) {
        return;
    }

    if (ngx_http_approval_metrics_event.timer_set) {
        ngx_del_timer(&ngx_http_approval_metrics_event);
    }

    ngx_http_approval_metrics_sample(mcf);
    ngx_http_approval_counters_detach(mcf);
}


static void
ngx_http_approval_metrics_timer(ngx_event_t *ev)
{
    ngx_http_approval_metrics_sample(ev->data);

    ngx_add_timer(ev, NGX_HTTP_APPROVAL_METRICS_EVERY);
}


static void
ngx_http_approval_metrics_sample(ngx_http_approval_main_conf_t *mcf)
{
    ngx_http_approval_redis_t        *redis;
    ngx_http_approval_audit_stats_t   stats;

    if (mcf->worker->store) {
        redis = ngx_http_approval_store_redis(mcf->worker->store);

        ngx_http_approval_count_gauge(mcf, NGX_HTTP_APPROVAL_GAUGE_STORE_UP,
                           ngx_http_approval_store_usable(mcf->worker->store));
        ngx_http_approval_count_gauge(mcf, NGX_HTTP_APPROVAL_GAUGE_STORE_RTT,
                                      ngx_http_approval_redis_rtt(redis));

        ngx_http_approval_metrics_add(mcf, NGX_HTTP_APPROVAL_SUM_STORE_ERRORS,
                           ngx_http_approval_store_errors(mcf->worker->store));
        ngx_http_approval_metrics_add(mcf,
                                      NGX_HTTP_APPROVAL_SUM_STORE_RECONNECTS,
                                   ngx_http_approval_redis_reconnects(redis));
    }

    if (mcf->worker->audit) {
        ngx_http_approval_audit_stats(mcf, &stats);

        ngx_http_approval_count_gauge(mcf,
                                      NGX_HTTP_APPROVAL_GAUGE_AUDIT_FAILING,
                                      stats.failing);
        ngx_http_approval_count_gauge(mcf,
                                      NGX_HTTP_APPROVAL_GAUGE_AUDIT_WAITING,
                                      stats.waiting);

        ngx_http_approval_metrics_add(mcf, NGX_HTTP_APPROVAL_SUM_AUDIT_ERRORS,
                                      stats.errors);
        ngx_http_approval_metrics_add(mcf,
                                      NGX_HTTP_APPROVAL_SUM_AUDIT_RECORDS,
                                      stats.records);
        ngx_http_approval_metrics_add(mcf,
                                      NGX_HTTP_APPROVAL_SUM_AUDIT_CHECKPOINTS,
                                      stats.checkpoints);
        ngx_http_approval_metrics_add(mcf, NGX_HTTP_APPROVAL_SUM_AUDIT_SYNCS,
                                      stats.syncs);
    }
}


static void
ngx_http_approval_metrics_add(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_sum_e sum, ngx_uint_t value)
{
    ngx_uint_t  *said;

    said = &ngx_http_approval_metrics_said[sum];

    if (value > *said) {
        ngx_http_approval_count_sum(mcf, sum, value - *said);
        *said = value;
    }
}


ngx_int_t
ngx_http_approval_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    approval_buf_t                  out;
    ngx_http_approval_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);

    if (mcf->counters == NULL || mcf->counters->shared == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_approval_metrics_sample(mcf);

    approval_buf_init(&out);

    ngx_http_approval_metrics_text(mcf, &out);

    rc = out.failed
         ? NGX_HTTP_INTERNAL_SERVER_ERROR
         : ngx_http_approval_send(r, NGX_HTTP_OK,
                                  "text/plain; version=0.0.4; charset=utf-8",
                                  approval_buf_str(&out));

    approval_buf_free(&out);

    return rc;
}


static void
ngx_http_approval_metrics_text(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out)
{
    ngx_uint_t  workers;

    workers = ngx_http_approval_counters_workers(mcf);

    ngx_http_approval_metrics_head(out, "approval_build_info", "gauge",
                                   "1; the version is its label.");
    approval_buf_adds(out, "approval_build_info{version=\""
                           APPROVAL_VERSION "\",nginx=\""
                           NGINX_VERSION "\"} 1\n");

    ngx_http_approval_metrics_head(out, "approval_workers", "gauge",
                                   "Worker processes that count, including "
                                   "those that quit but still hold requests.");
    ngx_http_approval_metrics_number(out, "approval_workers", workers);

    ngx_http_approval_metrics_rules(mcf, out);
    ngx_http_approval_metrics_refused(mcf, out);
    ngx_http_approval_metrics_channels(mcf, out);

    if (mcf->store_conf) {
        ngx_http_approval_metrics_store(mcf, out);
    }

    if (mcf->audit_conf) {
        ngx_http_approval_metrics_audit(mcf, out);
    }
}


static void
ngx_http_approval_metrics_head(approval_buf_t *out, const char *name,
    const char *type, const char *help)
{
    approval_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                        type);
}


/*
 * Visits the rules of a mode that can hold (in shadow mode also those that
 * deny), so that they have samples from the first scrape on.
 */

static void
ngx_http_approval_metrics_each(ngx_http_approval_main_conf_t *mcf,
    ngx_uint_t mode, approval_buf_t *out,
    ngx_http_approval_metrics_pt visit, const void *data)
{
    ngx_uint_t                    i, j;
    ngx_http_approval_rule_t    **rules;
    ngx_http_approval_policy_t  **policies;

    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {
        rules = policies[i]->rules.elts;

        for (j = 0; j < policies[i]->rules.nelts; j++) {

            if (rules[j]->mode != mode
                || rules[j]->outcome == NGX_HTTP_APPROVAL_ALLOW
                || (rules[j]->outcome == NGX_HTTP_APPROVAL_DENY
                    && mode != NGX_HTTP_APPROVAL_SHADOW))
            {
                continue;
            }

            visit(mcf, rules[j], out, data);
        }
    }
}


static void
ngx_http_approval_metrics_held(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, approval_buf_t *out, const void *data)
{
    ngx_http_approval_metrics_rule(out, "approval_held", rule);
    approval_buf_printf(out, "} %lu\n", (unsigned long)
                        ngx_http_approval_counted_held(mcf, rule));
}


static void
ngx_http_approval_metrics_counter(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, approval_buf_t *out, const void *data)
{
    const ngx_http_approval_metric_t *m = data;

    ngx_http_approval_metrics_rule(out, m->name, rule);
    approval_buf_printf(out, "%s} %lu\n", m->label, (unsigned long)
                        ngx_http_approval_counted(rule, m->counter));
}


static void
ngx_http_approval_metrics_rules(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out)
{
    const ngx_http_approval_metric_t  *m;

    ngx_http_approval_metrics_head(out, "approval_held", "gauge",
                                   "Connections that wait for a decision.");

    ngx_http_approval_metrics_each(mcf, NGX_HTTP_APPROVAL_ENFORCE, out,
                                   ngx_http_approval_metrics_held, NULL);

    for (m = ngx_http_approval_metrics; m->name; m++) {

        if (m->help) {
            ngx_http_approval_metrics_head(out, m->name, "counter", m->help);
        }

        ngx_http_approval_metrics_each(mcf,
                                       m->counter
                                       == NGX_HTTP_APPROVAL_COUNT_SHADOW
                                       ? NGX_HTTP_APPROVAL_SHADOW
                                       : NGX_HTTP_APPROVAL_ENFORCE,
                                       out, ngx_http_approval_metrics_counter,
                                       m);
    }

    ngx_http_approval_metrics_head(out, "approval_decision_seconds",
                                   "histogram",
                                   "Time from the request for approval to the "
                                   "decision.");

    ngx_http_approval_metrics_each(mcf, NGX_HTTP_APPROVAL_ENFORCE, out,
                                   ngx_http_approval_metrics_histogram, NULL);
}


static void
ngx_http_approval_metrics_histogram(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, approval_buf_t *out, const void *data)
{
    ngx_uint_t  i, n, ms;

    n = 0;

    for (i = 0; i <= NGX_HTTP_APPROVAL_BUCKETS; i++) {
        n += ngx_http_approval_counted_bucket(rule, i);
    }

    /* skip empty histograms: with thousands of rules there are thousands */

    if (n == 0) {
        return;
    }

    ms = ngx_http_approval_counted_ms(rule);
    n = 0;

    for (i = 0; i <= NGX_HTTP_APPROVAL_BUCKETS; i++) {
        n += ngx_http_approval_counted_bucket(rule, i);

        ngx_http_approval_metrics_rule(out, "approval_decision_seconds_bucket",
                                       rule);

        if (i < NGX_HTTP_APPROVAL_BUCKETS) {
            approval_buf_printf(out, ",le=\"%lu\"} %lu\n",
                                (unsigned long) ngx_http_approval_bounds[i],
                                (unsigned long) n);

        } else {
            approval_buf_printf(out, ",le=\"+Inf\"} %lu\n",
                                (unsigned long) n);
        }
    }

    ngx_http_approval_metrics_rule(out, "approval_decision_seconds_sum", rule);
    approval_buf_printf(out, "} %lu.%03lu\n", (unsigned long) (ms / 1000),
                        (unsigned long) (ms % 1000));

    ngx_http_approval_metrics_rule(out, "approval_decision_seconds_count",
                                   rule);
    approval_buf_printf(out, "} %lu\n", (unsigned long) n);
}


static void
ngx_http_approval_metrics_refused(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out)
{
    ngx_uint_t   i, n;
    const char  *type;

    ngx_http_approval_metrics_head(out, "approval_refused_total", "counter",
                                   "Requests refused, by the problem's type; "
                                   "policy is denied by a rule.");

    for (i = 0; i < NGX_HTTP_APPROVAL_REFUSALS; i++) {
        type = ngx_http_approval_counted_refused(mcf, i, &n);

        if (type) {
            approval_buf_printf(out,
                                "approval_refused_total{type=\"%s\"} %lu\n",
                                type, (unsigned long) n);
        }
    }
}


static void
ngx_http_approval_metrics_channels(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out)
{
    ngx_uint_t                     i, j;
    ngx_http_approval_channel_t  **channels;

    static const char  *results[] = { "delivered", "retried", "failed" };

    ngx_http_approval_metrics_head(out, "approval_notifications_total",
                                   "counter",
                                   "Attempts to notify a channel: retried is "
                                   "tried again, failed is not.");

    channels = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {
        for (j = 0; j < NGX_HTTP_APPROVAL_DELIVERIES; j++) {
            approval_buf_adds(out, "approval_notifications_total{channel=");
            ngx_http_approval_metrics_label(out, &channels[i]->name);
            approval_buf_printf(out, ",result=\"%s\"} %lu\n", results[j],
                                (unsigned long)
                                ngx_http_approval_counted_delivery(channels[i],
                                                                   j));
        }
    }
}


static void
ngx_http_approval_metrics_store(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out)
{
    ngx_uint_t  min, max;

    ngx_http_approval_counted_gauge(mcf, NGX_HTTP_APPROVAL_GAUGE_STORE_UP,
                                    &min, &max);

    ngx_http_approval_metrics_head(out, "approval_store_up", "gauge",
                                   "1 while every worker can write to "
                                   "Redis, otherwise 0.");
    ngx_http_approval_metrics_number(out, "approval_store_up", min);

    ngx_http_approval_counted_gauge(mcf, NGX_HTTP_APPROVAL_GAUGE_STORE_RTT,
                                    &min, &max);

    ngx_http_approval_metrics_head(out, "approval_store_rtt_seconds", "gauge",
                                   "Time that the last reply of Redis took, "
                                   "of the slowest worker.");
    approval_buf_printf(out, "approval_store_rtt_seconds %lu.%03lu\n",
                        (unsigned long) (max / 1000),
                        (unsigned long) (max % 1000));

    ngx_http_approval_metrics_head(out, "approval_store_errors_total",
                                   "counter",
                                   "Commands that Redis refused or did not "
                                   "answer.");
    ngx_http_approval_metrics_number(out, "approval_store_errors_total",
                   ngx_http_approval_counted_sum(mcf,
                                        NGX_HTTP_APPROVAL_SUM_STORE_ERRORS));

    ngx_http_approval_metrics_head(out, "approval_store_reconnects_total",
                                   "counter",
                                   "Times that a worker connected to Redis "
                                   "again.");
    ngx_http_approval_metrics_number(out, "approval_store_reconnects_total",
                   ngx_http_approval_counted_sum(mcf,
                                    NGX_HTTP_APPROVAL_SUM_STORE_RECONNECTS));
}


static void
ngx_http_approval_metrics_audit(ngx_http_approval_main_conf_t *mcf,
    approval_buf_t *out)
{
    ngx_uint_t  min, max;

    ngx_http_approval_metrics_head(out, "approval_audit_records_total",
                                   "counter", "Lines of the audit trail.");
    ngx_http_approval_metrics_number(out, "approval_audit_records_total",
                   ngx_http_approval_counted_sum(mcf,
                                       NGX_HTTP_APPROVAL_SUM_AUDIT_RECORDS));

    ngx_http_approval_metrics_head(out, "approval_audit_errors_total",
                                   "counter",
                                   "Appends and syncs of the trail that "
                                   "failed; their requests were refused.");
    ngx_http_approval_metrics_number(out, "approval_audit_errors_total",
                   ngx_http_approval_counted_sum(mcf,
                                        NGX_HTTP_APPROVAL_SUM_AUDIT_ERRORS));

    ngx_http_approval_metrics_head(out, "approval_audit_checkpoints_total",
                                   "counter", "Signed checkpoints.");
    ngx_http_approval_metrics_number(out, "approval_audit_checkpoints_total",
                   ngx_http_approval_counted_sum(mcf,
                                   NGX_HTTP_APPROVAL_SUM_AUDIT_CHECKPOINTS));

    ngx_http_approval_metrics_head(out, "approval_audit_syncs_total",
                                   "counter",
                                   "Times that the trail was synced to disk.");
    ngx_http_approval_metrics_number(out, "approval_audit_syncs_total",
                   ngx_http_approval_counted_sum(mcf,
                                         NGX_HTTP_APPROVAL_SUM_AUDIT_SYNCS));

    ngx_http_approval_counted_gauge(mcf,
                                    NGX_HTTP_APPROVAL_GAUGE_AUDIT_FAILING,
                                    &min, &max);

    ngx_http_approval_metrics_head(out, "approval_audit_failing", "gauge",
                                   "1 while a worker cannot write the trail, "
                                   "otherwise 0.");
    ngx_http_approval_metrics_number(out, "approval_audit_failing", max);

    ngx_http_approval_counted_gauge(mcf,
                                    NGX_HTTP_APPROVAL_GAUGE_AUDIT_WAITING,
                                    &min, &max);

    ngx_http_approval_metrics_head(out, "approval_audit_waiting", "gauge",
                                   "Lines that wait in memory to be written, "
                                   "of the worker with the most.");
    ngx_http_approval_metrics_number(out, "approval_audit_waiting", max);
}


static void
ngx_http_approval_metrics_number(approval_buf_t *out, const char *name,
    ngx_uint_t value)
{
    approval_buf_printf(out, "%s %lu\n", name, (unsigned long) value);
}


/* NAME{policy="...",rule="..."; the caller adds the next label or "}". */

static void
ngx_http_approval_metrics_rule(approval_buf_t *out, const char *name,
    ngx_http_approval_rule_t *rule)
{
    approval_buf_adds(out, name);
    approval_buf_adds(out, "{policy=");
    ngx_http_approval_metrics_label(out, &rule->policy->name);
    approval_buf_adds(out, ",rule=");
    ngx_http_approval_metrics_label(out, &rule->name);
}


static void
ngx_http_approval_metrics_label(approval_buf_t *out, const ngx_str_t *value)
{
    size_t  i;

    approval_buf_addc(out, '"');

    for (i = 0; i < value->len; i++) {
        switch (value->data[i]) {

        case '\n':
            approval_buf_adds(out, "\\n");
            break;

        case '\\':
        case '"':
            approval_buf_addc(out, '\\');

            /* fall through */

        default:
            approval_buf_addc(out, value->data[i]);
        }
    }

    approval_buf_addc(out, '"');
}
