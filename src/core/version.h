
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The version, here and nowhere else; CHANGES lists the changes.
 */


#ifndef APPROVAL_VERSION_H
#define APPROVAL_VERSION_H


#define APPROVAL_VERSION  "0.2.0"


#endif /* APPROVAL_VERSION_H */
