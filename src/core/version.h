
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The version, here and nowhere else; CHANGES says what is in it.
 */


#ifndef APPROVAL_VERSION_H
#define APPROVAL_VERSION_H


#define APPROVAL_VERSION  "0.2.0"


#endif /* APPROVAL_VERSION_H */
