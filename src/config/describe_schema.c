/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

#include <stdlib.h>

/* A schema under way. Once there was no memory for a piece of it, there is none at all. */
struct schema {
	bool has_failed;
};

static json_t *object_of(const struct config_table *table, struct schema *schema,
                         uint32_t kind_bit);

static void put(struct schema *schema, json_t *object, const char *name, json_t *value)
{
	/* takes NULL on both sides, and is then a failure */
	if (json_object_set_new(object, name, value) < 0)
		schema->has_failed = true;
}

static void add(struct schema *schema, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		schema->has_failed = true;
}

static json_t *types_of(struct schema *schema, const char *const *names)
{
	json_t *types = json_array();

	for (; *names != NULL; names++)
		add(schema, types, json_string(*names));
	return types;
}

/* Whole numbers from `low` to `high`, as alternatives of a regular expression: 7 to 250 is
 * [7-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|250. Each takes as many as end in digits that may be
 * any, behind one that may be some. */
static void write_numbers(FILE *to, uint64_t low, uint64_t high)
{
	const char *separator = "";

	while (low <= high) {
		uint64_t step = 1, digit;
		unsigned any = 0, more;

		while (low >= 10 && low % (step * 10) == 0 && low + step * 10 - 1 <= high) {
			step *= 10;
			any++;
		}
		digit = low / step % 10;
		more = (unsigned)((high + 1 - low) / step) - 1;
		if ((high + 1 - low) / step > 10 - digit)
			more = (unsigned)(9 - digit);
		fputs(separator, to);
		if (low / step >= 10)
			fprintf(to, "%llu", (unsigned long long)(low / step / 10));
		if (more > 0)
			fprintf(to, "[%u-%u]", (unsigned)digit, (unsigned)digit + more);
		else
			fprintf(to, "%u", (unsigned)digit);
		if (any == 1)
			fputs("[0-9]", to);
		else if (any > 1)
			fprintf(to, "[0-9]{%u}", any);
		low += step * (more + 1);
		separator = "|";
	}
}

/* Each unit with the numbers that are in the range with it. */
static char *quantity_pattern(const struct config_parameter *parameter)
{
	const struct config_unit *unit = config_units(parameter->type);
	const char *separator = "";
	char *pattern = NULL;
	size_t bytes;
	FILE *to = open_memstream(&pattern, &bytes);

	if (to == NULL)
		return NULL;
	fputs("^(", to);
	for (; unit->suffix != NULL; unit++) {
		uint64_t low = (parameter->minimum + unit->factor - 1) / unit->factor;
		uint64_t high = parameter->maximum / unit->factor;

		if (low > high)
			continue;
		fprintf(to, "%s(", separator);
		write_numbers(to, low, high);
		fprintf(to, ")%s", unit->suffix);
		separator = "|";
	}
	fprintf(to, "%s)$", parameter->minimum == 0 ? "|0" : "");
	if (fclose(to) != 0) {
		free(pattern);
		return NULL;
	}
	return pattern;
}

static json_t *integers(struct schema *schema, uint64_t low, uint64_t high)
{
	json_t *type = json_object();

	put(schema, type, "type", json_string("integer"));
	put(schema, type, "minimum", json_integer((json_int_t)low));
	put(schema, type, "maximum", json_integer((json_int_t)high));
	return type;
}

/* A number as YAML knows it, where it may stand without a unit; or text. */
static json_t *quantity(struct schema *schema, const struct config_parameter *parameter)
{
	bool needs_unit =
	    config_units(parameter->type)[0].factor != 1 && parameter->type != CONFIG_SIZE;
	char *pattern = quantity_pattern(parameter);
	json_t *either = json_array(), *text = json_object();

	needs_unit |= parameter->type == CONFIG_PERCENT;
	if (!needs_unit)
		add(schema, either, integers(schema, parameter->minimum, parameter->maximum));
	else if (parameter->minimum == 0)
		add(schema, either, integers(schema, 0, 0));
	put(schema, text, "type", json_string("string"));
	put(schema, text, "pattern", pattern == NULL ? NULL : json_string(pattern));
	free(pattern);
	add(schema, either, text);
	return either;
}

static json_t *words_of(struct schema *schema, enum config_type type)
{
	const char *const *words = config_words(type);
	json_t *either = json_array();

	for (uint32_t i = 0; words[i] != NULL; i++)
		add(schema, either, json_string(words[i]));
	if (type == CONFIG_SWITCH) {
		add(schema, either, json_false());
		add(schema, either, json_true());
	}
	return either;
}

/* What is written as digits, or as true, is no text for YAML. */
static json_t *text_of(struct schema *schema, const struct config_parameter *parameter,
                       const char *pattern)
{
	static const char *const types[] = {"string", "number", "boolean", NULL};
	json_t *text = json_object();

	put(schema, text, "type", types_of(schema, types));
	put(schema, text, "minLength", json_integer((json_int_t)parameter->minimum));
	put(schema, text, "maxLength", json_integer((json_int_t)parameter->maximum));
	if (pattern != NULL)
		put(schema, text, "pattern", json_string(pattern));
	return text;
}

static json_t *list_of(struct schema *schema, uint64_t low, uint64_t high, json_t *items)
{
	json_t *list = json_object();

	put(schema, list, "type", json_string("array"));
	put(schema, list, "minItems", json_integer((json_int_t)low));
	put(schema, list, "maxItems", json_integer((json_int_t)high));
	put(schema, list, "items", items);
	return list;
}

static json_t *addresses(struct schema *schema, const struct config_parameter *parameter,
                         const char *pattern)
{
	json_t *item = json_object();

	put(schema, item, "type", json_string("string"));
	put(schema, item, "pattern", json_string(pattern));
	return list_of(schema, parameter->minimum, parameter->maximum, item);
}

static json_t *any_of(struct schema *schema, json_t *first, json_t *second)
{
	json_t *either = json_array(), *type = json_object();

	add(schema, either, first);
	add(schema, either, second);
	put(schema, type, "anyOf", either);
	return type;
}

/* Each kind of port has its own fields. */
static json_t *port_of(struct schema *schema)
{
	json_t *kinds = json_array(), *type = json_object();

	for (uint32_t kind = 0; kind <= PORT_SOCKET; kind++)
		add(schema, kinds, object_of(&config_port_fields, schema, 1u << kind));
	put(schema, type, "oneOf", kinds);
	return type;
}

static json_t *cores_of(struct schema *schema, uint64_t count_max)
{
	const struct config_parameter core = {.type = CONFIG_COUNT, .maximum = CONFIG_CORE_MAX};
	json_t *item = json_object();

	put(schema, item, "anyOf", quantity(schema, &core));
	return list_of(schema, 1, count_max, item);
}

#define HOST_PATTERN    "^[0-9A-Fa-f:.]+$"
#define NETWORK_PATTERN "^[0-9A-Fa-f:.]+(/[0-9]+)?$"

static json_t *type_of(struct schema *schema, const struct config_parameter *parameter)
{
	static const char *const mode_types[] = {"string", "integer", NULL};
	uint64_t low = parameter->minimum, high = parameter->maximum;
	json_t *type;

	switch (parameter->type) {
	case CONFIG_TEXT:
	case CONFIG_LISTEN: return text_of(schema, parameter, parameter->pattern);
	case CONFIG_PATH:
		return text_of(schema, parameter,
		               parameter->pattern == NULL ? "^/" : parameter->pattern);
	case CONFIG_HOSTS: return addresses(schema, parameter, HOST_PATTERN);
	case CONFIG_PREFIXES: return addresses(schema, parameter, NETWORK_PATTERN);
	case CONFIG_ENTRIES:
		return list_of(schema, low, high,
		               parameter->table == &config_port_fields
		                   ? port_of(schema)
		                   : object_of(parameter->table, schema, 0));
	case CONFIG_SECTION: return object_of(parameter->table, schema, 0);
	default: break;
	}
	type = json_object();
	if (parameter->type == CONFIG_NETWORKS) {
		put(schema, type, "const", json_string("any"));
		return any_of(schema, type, addresses(schema, parameter, NETWORK_PATTERN));
	}
	if (parameter->type == CONFIG_MODE) {
		put(schema, type, "type", types_of(schema, mode_types));
		put(schema, type, "pattern", json_string("^0?[0-7]{3}$"));
		return type;
	}
	if (config_words(parameter->type) != NULL)
		put(schema, type, "enum", words_of(schema, parameter->type));
	else
		put(schema, type, "anyOf", quantity(schema, parameter));
	return parameter->type == CONFIG_WORKERS ? any_of(schema, type, cores_of(schema, high))
	                                         : type;
}

static json_t *default_of(const struct config_parameter *parameter, const char *text)
{
	if (parameter->type == CONFIG_SWITCH)
		return json_boolean(parameter->default_value != 0);
	if (parameter->type == CONFIG_COUNT || parameter->type == CONFIG_WORKERS)
		return json_integer((json_int_t)parameter->default_value);
	return json_string(text);
}

static json_t *property_of(struct schema *schema, const struct config_parameter *parameter,
                           uint32_t kind_bit)
{
	char text[DESCRIBE_PARAGRAPH_BYTES], value[CONFIG_QUANTITY_BYTES];
	json_t *property;

	if (parameter->type == CONFIG_PORT_KIND) {
		property = json_object();
		put(schema, property, "const",
		    json_string(config_words(CONFIG_PORT_KIND)[__builtin_ctz(kind_bit)]));
	} else {
		property = type_of(schema, parameter);
	}
	describe_paragraph(text, parameter);
	put(schema, property, "description", json_string(text));
	if (describe_default(value, parameter))
		put(schema, property, "default", default_of(parameter, value));
	return property;
}

static void add_properties(struct schema *schema, const struct config_table *table,
                           uint32_t kind_bit, json_t *properties, json_t *required)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];

		if (kind_bit != 0 && (parameter->kinds & kind_bit) == 0)
			continue;
		put(schema, properties, parameter->name, property_of(schema, parameter, kind_bit));
		/* whether `allow` is needed goes by other values, too */
		if (parameter->is_required || ((parameter->required_kinds & kind_bit) != 0 &&
		                               parameter->type != CONFIG_NETWORKS))
			add(schema, required, json_string(parameter->name));
	}
}

static json_t *object_with(struct schema *schema, json_t *properties, json_t *required)
{
	json_t *object = json_object();

	put(schema, object, "type", json_string("object"));
	put(schema, object, "properties", properties);
	put(schema, object, "required", required);
	put(schema, object, "additionalProperties", json_false());
	return object;
}

static json_t *object_of(const struct config_table *table, struct schema *schema, uint32_t kind_bit)
{
	json_t *properties = json_object(), *required = json_array();

	add_properties(schema, table, kind_bit, properties, required);
	return object_with(schema, properties, required);
}

json_t *describe_schema(void)
{
	const struct config_table top = {config_parameters, config_parameter_count, NULL, 0};
	json_t *properties = json_object(), *required = json_array(), *root;
	struct schema schema = {false};

	add_properties(&schema, &top, 0, properties, required);
	add_properties(&schema, &config_others, 0, properties, required);
	root = object_with(&schema, properties, required);
	put(&schema, root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	put(&schema, root, "title", json_string("Configuration of kanted"));
	if (!schema.has_failed)
		return root;
	json_decref(root);
	return NULL;
}
