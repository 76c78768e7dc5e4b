
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Request targets that two readers could read differently.
 */


#ifndef APPROVAL_PATH_H
#define APPROVAL_PATH_H


#include "core/str.h"


/*
 * NULL where every common server reads the raw target (path and query as on
 * the request line, origin or absolute form) as the same path; otherwise a
 * static text that names what is ambiguous: an encoded slash, backslash, dot,
 * NUL or percent sign, a bare backslash, a path parameter (";"), an empty or
 * dot segment, an encoded unreserved character, a control character, "#",
 * bytes outside ASCII unless they are escaped UTF-8, absolute form.
 * Only the path is judged; the query is looked at for control bytes and "#".
 */
const char *approval_path_ambiguous(approval_str_t target);

/*
 * Is the target free of ";", "\\" and bytes outside ASCII?  What nginx's own
 * parser found neither complex nor quoted is then not ambiguous, and the walk
 * above can be saved.
 */
int approval_path_plain(approval_str_t target);

/*
 * Why two readers could read the query differently: one that decodes it, and
 * a rule, which does not.  NULL: they could not.
 */
const char *approval_path_query_escapes(approval_str_t query);


#endif /* APPROVAL_PATH_H */
