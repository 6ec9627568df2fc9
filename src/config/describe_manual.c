/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

struct manual {
	FILE *to;
	uint32_t depth; /* of the list that is open */
};

void describe_manual_text(FILE *to, const char *text)
{
	bool is_open = false;

	if (*text == '.' || *text == '\'')
		fputs("\\&", to);
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '\\': fputs("\\e", to); break;
		case '"': fputs("\\(dq", to); break;
		case '\'': fputs("\\(aq", to); break;
		case '`':
			fputs(is_open ? "\\(cq" : "\\(oq", to);
			is_open = !is_open;
			break;
		default: fputc(*text, to);
		}
	}
	fputc('\n', to);
}

static void write_sentences(FILE *to, const struct config_parameter *parameter)
{
	char text[DESCRIBE_PARAGRAPH_BYTES];
	char *at = text, *end;

	describe_paragraph(text, parameter);
	/* each sentence begins a line */
	while ((end = strstr(at, ". ")) != NULL) {
		end[1] = '\0';
		describe_manual_text(to, at);
		at = end + 2;
	}
	describe_manual_text(to, at);
	if (parameter->example == NULL)
		return;
	fputs("Such as\n.Ql ", to);
	snprintf(text, sizeof(text), "%s: %s", parameter->name, parameter->example);
	describe_manual_text(to, text);
}

static void write_parameter(void *context, const struct description *description)
{
	struct manual *manual = context;
	const struct config_parameter *parameter = description->parameter;

	if (description->depth == 0 && parameter->table != NULL) {
		fprintf(manual->to, ".El\n.Sh SECTION %s\n", parameter->name);
		write_sentences(manual->to, parameter);
		fputs(".Bl -tag -width Ds\n", manual->to);
		return;
	}
	/* of a section's parameters the path within it */
	fprintf(manual->to, ".It Ic %s\n",
	        description->depth == 0 ? parameter->name : strchr(description->path, '.') + 1);
	write_sentences(manual->to, parameter);
}

static const char head[] =
    ".\\\" SPDX-License-Identifier: Apache-2.0\n"
    ".\\\" Made from the tables of the configuration by config-describe: not to be changed here.\n"
    ".Dd November 27, 2026\n"
    ".Dt KANTE.YAML 5\n"
    ".Os Kante\n"
    ".Sh NAME\n"
    ".Nm kante.yaml\n"
    ".Nd configuration of kanted\n"
    ".Sh DESCRIPTION\n"
    "The configuration of\n"
    ".Xr kanted 8\n"
    "is one YAML file, a mapping of the parameters below.\n"
    "A file with a fault in it is refused whole, with a line for each fault: file, line, what is\n"
    "wrong and what to do;\n"
    ".Ql kanted --check -c FILE\n"
    "says so without starting anything.\n"
    "A parameter may be given once.\n"
    "Anchors, aliases, tags and several documents are refused: what a line says is what it "
    "means.\n"
    ".Pp\n"
    "A change counts from the next start, save where it is said to count at once: when the file "
    "is\n"
    "read again, on SIGHUP or through\n"
    ".Xr kante 1 .\n"
    ".Sh VALUES\n"
    ".Bl -tag -width Ds\n"
    ".It size\n"
    "A number of bytes, or one with KiB, MiB or GiB right behind it: 64MiB.\n"
    ".It duration\n"
    "A number with us, ms, s, min or h right behind it: 10s.\n"
    "0 needs no unit.\n"
    "In whole seconds, it has s, min or h.\n"
    ".It percentage\n"
    "A whole number with % right behind it: 20%.\n"
    ".It text\n"
    "As in YAML; what has a colon or other special characters in it stands in double quotes.\n"
    ".El\n"
    ".Pp\n"
    "Numbers are whole, in digits only, and without zeros in front.\n"
    ".Sh PARAMETERS\n"
    ".Bl -tag -width Ds\n";

static const char tail[] = ".El\n"
                           ".Sh EXAMPLES\n"
                           "64 MiB of memory, for clients on this host only:\n"
                           ".Bd -literal -offset indent\n"
                           "memory: 64MiB\n"
                           "ports:\n"
                           "  - kind: socket\n"
                           "    listen: \"127.0.0.1:11211\"\n"
                           ".Ed\n"
                           ".Sh SEE ALSO\n"
                           ".Xr kante 1 ,\n"
                           ".Xr kante-memcached 7 ,\n"
                           ".Xr kanted 8\n";

void describe_manual(FILE *to)
{
	struct manual manual = {.to = to};

	fputs(head, to);
	describe_each(write_parameter, &manual);
	fputs(tail, to);
}
