/* SPDX-License-Identifier: Apache-2.0 */
/* What config.c and the other config_….c share. Nobody else includes this. */
#pragma once

#include "config/config.h"
#include "config/document.h"

#define CONFIG_PATH_BYTES 96

/* Percent; the rest is for what is stored just now, whatever it is. */
#define CONFIG_SHARE_MIN_SUM_MAX 90

/* A number without sign, blanks or leading zeros, whole and followed by nothing but a unit.
 * Sets *ret_end to what follows the digits. False: it is none, or is above 2^64 - 1. */
bool config_parse_number(uint64_t *ret_number, const char **ret_end, const char *text);

/* A value of that type from minimum to maximum, or a fault. Not of the types that are words. */
bool config_check_quantity(struct faults *faults, const struct node *node, const char *path,
                           enum config_type type, uint64_t minimum, uint64_t maximum,
                           uint64_t *ret_value);

/* A whole number from minimum to maximum, or a fault. */
bool config_check_count(struct faults *faults, const struct node *node, const char *path,
                        uint64_t minimum, uint64_t maximum, uint64_t *ret_number);

/* One of the type's words, or a fault. */
bool config_check_word(struct faults *faults, const struct node *node, const char *path,
                       enum config_type type, uint64_t *ret_value);

/* An absolute path, copied into `to`, which has room for the parameter's maximum and a NUL; or a
 * fault. */
bool config_check_path(struct faults *faults, const struct node *node, const char *path,
                       const struct config_parameter *parameter, char *to);

/* "ports[0].allow"; with an empty field "ports[0]". */
void config_entry_path(char ret_path[CONFIG_PATH_BYTES], const char *list, uint32_t index,
                       const char *field);

/* A fault about a scalar: "TEXT" is …, with what the format makes for the rest. */
void config_refuse_text(struct faults *faults, const struct node *node, const char *path,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A scalar with something in it, or a fault. */
bool config_check_scalar(struct faults *faults, const struct node *node, const char *path);

/* The value of `ports:`: fills config->ports and adds faults. */
void config_check_ports(struct config *config, const struct node *ports, struct faults *faults);

/* The value of `classes:`: adds to config->classes, which has class 0 alone, and adds faults. */
void config_check_classes(struct config *config, const struct node *classes, struct faults *faults);

/* The value of `admin:`: fills config->admin and adds faults. */
void config_check_admin(struct config *config, const struct node *section, struct faults *faults);

/* Where all else is without a fault: nothing of `admin:` may be where a port is. */
void config_check_admin_places(const struct config *config, const struct node *section,
                               struct faults *faults);

bool config_is_multicast(const struct ip_address *address);
