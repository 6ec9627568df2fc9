/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include <string.h>

/* Both scripts are the same: functions that know the table, and one that reads the line. What the
 * former find out is in REPLY (bash: words, with blanks between) or reply (zsh: WORD:HELP).
 * "@file",
 * "@dir" and "@command" stand for what is not in the table. */
struct script {
	FILE *to;
	bool is_zsh;
	uint32_t count; /* of words in the list that is open */
};

static void begin_list(struct script *script)
{
	fputs(script->is_zsh ? "reply=(" : "REPLY='", script->to);
	script->count = 0;
}

/* help: NULL: there is none */
static void add_word(struct script *script, const char *word, size_t length, const char *help)
{
	fprintf(script->to, "%s%s%.*s", script->count++ == 0 ? "" : " ", script->is_zsh ? "'" : "",
	        (int)length, word);
	if (!script->is_zsh)
		return;
	if (help != NULL)
		fputc(':', script->to);
	for (; help != NULL && *help != '\0'; help++) {
		if (*help == '\'')
			fputs("'\\''", script->to);
		else
			fputc(*help, script->to);
	}
	fputc('\'', script->to);
}

static void end_list(struct script *script)
{
	fputs(script->is_zsh ? ") ;;\n" : "' ;;\n", script->to);
}

static void begin_function(struct script *script, const char *name)
{
	fprintf(script->to, "_kante_%s() {\n\tcase \"$1\" in\n", name);
}

static void end_function(struct script *script)
{
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n", script->to);
}

/* Whether the names of both begin with the same `length` characters and a blank, or length is 0. */
static bool is_same_group(const char *a, const char *b, size_t length)
{
	return length == 0 || (strncmp(a, b, length) == 0 && a[length] == ' ' && b[length] == ' ');
}

/* Words that may follow the first `length` characters of this command's name. */
static void write_group(struct script *script, const struct commands *all, uint32_t index,
                        size_t length)
{
	const char *group = all->list[index].name;
	size_t start = length == 0 ? 0 : length + 1;

	for (uint32_t i = 0; i < index; i++)
		if (is_same_group(all->list[i].name, group, length))
			return; /* it was written then */
	fprintf(script->to, "\t'%.*s') ", (int)length, group);
	begin_list(script);
	for (uint32_t i = index; i < all->count; i++) {
		const char *name = all->list[i].name;
		size_t word_length;
		bool is_new = is_same_group(name, group, length);

		if (!is_new)
			continue;
		word_length = strcspn(name + start, " ");
		for (uint32_t j = index; j < i; j++)
			is_new &= !is_same_group(all->list[j].name, name, start + word_length);
		if (is_new)
			add_word(script, name + start, word_length,
			         name[start + word_length] == '\0' ? all->list[i].help : NULL);
	}
	end_list(script);
}

static void write_words(struct script *script, const struct commands *all)
{
	begin_function(script, "words");
	for (uint32_t i = 0; i < all->count; i++) {
		const char *name = all->list[i].name;

		write_group(script, all, i, 0);
		for (size_t at = 0; name[at] != '\0'; at++)
			if (name[at] == ' ')
				write_group(script, all, i, at);
	}
	end_function(script);
}

static void add_option(struct script *script, const struct command_option *option)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "--%s", option->name);

	add_word(script, text, (size_t)length, option->help);
}

static void write_options(struct script *script, const struct commands *all)
{
	const struct command_option *option;

	begin_function(script, "options");
	fputs("\t'') ", script->to);
	begin_list(script);
	for (option = command_node_options; option->name != NULL; option++)
		add_option(script, option);
	add_word(script, "--help", 6, "Say more of it");
	end_list(script);
	for (uint32_t i = 0; i < all->count; i++) {
		fprintf(script->to, "\t'%s') ", all->list[i].name);
		begin_list(script);
		for (uint32_t j = 0; (option = command_option_at(&all->list[i], j)) != NULL; j++)
			add_option(script, option);
		add_word(script, "--help", 6, "Say more of it");
		end_list(script);
	}
	end_function(script);
}

/* What an argument called that may be: files, or one of a choice, or nothing that is known. */
static void write_meaning(struct script *script, const char *argument, size_t length)
{
	static const struct {
		const char *argument, *meaning;
	} meanings[] = {
	    {"FILE", "@file"}, {"URL|PATH", "@file"}, {"DIR", "@dir"}, {"COMMAND", "@command"}};
	char choice[256];
	const char *word;
	size_t word_length;

	snprintf(choice, sizeof(choice), "%.*s", (int)length, argument);
	begin_list(script);
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(meanings[i].argument, choice) == 0)
			add_word(script, meanings[i].meaning, strlen(meanings[i].meaning), NULL);
	for (uint32_t i = 0; (word_length = command_choice_at(choice, i, &word)) > 0; i++)
		add_word(script, word, word_length, NULL);
	end_list(script);
}

/* The values of options, by "COMMAND --OPTION"; those that take none are not among them. */
static void write_values(struct script *script, const struct commands *all)
{
	const struct command_option *option;

	begin_function(script, "value");
	for (uint32_t i = 0; i < all->count; i++) {
		option = all->list[i].options;
		for (; option != NULL && option->name != NULL; option++) {
			if (option->argument == NULL)
				continue;
			fprintf(script->to, "\t'%s --%s'", all->list[i].name, option->name);
			if (option->letter != '\0')
				fprintf(script->to, " | '%s -%c'", all->list[i].name,
				        option->letter);
			fputs(") ", script->to);
			write_meaning(script, option->argument, strlen(option->argument));
		}
	}
	for (option = command_node_options; option->name != NULL; option++) {
		if (option->argument == NULL)
			continue;
		fprintf(script->to, "\t*' --%s'", option->name);
		if (option->letter != '\0')
			fprintf(script->to, " | *' -%c'", option->letter);
		fputs(") ", script->to);
		write_meaning(script, option->argument, strlen(option->argument));
	}
	end_function(script);
}

/* The arguments of commands, by "COMMAND NUMBER", from 0. */
static void write_arguments(struct script *script, const struct commands *all)
{
	const char *word;
	size_t length;

	begin_function(script, "argument");
	for (uint32_t i = 0; i < all->count; i++) {
		for (uint32_t j = 0; (length = command_argument_at(&all->list[i], j, &word)) > 0;
		     j++) {
			bool is_rest = length == 7 && strncmp(word, "COMMAND", length) == 0;

			if (is_rest)
				fprintf(script->to, "\t'%s '*) ", all->list[i].name);
			else
				fprintf(script->to, "\t'%s %u') ", all->list[i].name, j);
			write_meaning(script, word, length);
		}
	}
	end_function(script);
}

static const char bash_head[] =
    "# Completion of kante for bash, made by `kante completion bash`.\n\n";

static const char bash_tail[] =
    "_kante() {\n"
    "	local REPLY='' command='' rest='' option='' count=0 at next word i\n"
    "	local -a line\n"
    "\n"
    "	# as it was typed: bash's own words end at = and :\n"
    "	read -ra line <<<\"${COMP_LINE:0:COMP_POINT}\"\n"
    "	[[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && line+=('')\n"
    "	word=\"${line[-1]}\"\n"
    "	for ((i = 1; i < ${#line[@]} - 1; i++)); do\n"
    "		at=\"${line[i]}\"\n"
    "		if [[ -n $option ]]; then\n"
    "			option=''\n"
    "		elif [[ $at == -* ]]; then\n"
    "			_kante_value \"$command $at\" && option=\"$at\"\n"
    "		else\n"
    "			next=\"${command:+$command }$at\"\n"
    "			if [[ $count == 0 ]] && { _kante_words \"$next\" || _kante_options "
    "\"$next\"; }; then\n"
    "				command=\"$next\"\n"
    "			else\n"
    "				rest=\"${rest:+$rest }$at\"\n"
    "				count=$((count + 1))\n"
    "			fi\n"
    "		fi\n"
    "	done\n"
    "	if [[ -z $option && $word == --*=* ]]; then\n"
    "		option=\"${word%%=*}\"\n"
    "		word=\"${word#*=}\"\n"
    "	fi\n"
    "	COMPREPLY=()\n"
    "	REPLY=''\n"
    "	if [[ -n $option ]]; then\n"
    "		_kante_value \"$command $option\"\n"
    "	elif [[ $word == -* ]]; then\n"
    "		_kante_options \"$command\"\n"
    "	else\n"
    "		[[ $count == 0 ]] && _kante_words \"$command\" ||\n"
    "			_kante_argument \"$command $count\"\n"
    "	fi\n"
    "	[[ $REPLY == @command ]] && { _kante_words \"$rest\" || REPLY=''; }\n"
    "	case \"$REPLY\" in\n"
    "	@file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$word\") "
    ";;\n"
    "	@dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$word\") "
    ";;\n"
    "	*) mapfile -t COMPREPLY < <(compgen -W \"$REPLY\" -- \"$word\") ;;\n"
    "	esac\n"
    "}\n"
    "\n"
    "complete -F _kante kante\n";

static const char zsh_head[] =
    "#compdef kante\n# Completion of kante for zsh, made by `kante completion zsh`.\n\n";

static const char zsh_tail[] =
    "_kante() {\n"
    "	local command='' rest='' option='' count=0 at next word i\n"
    "	local -a reply\n"
    "\n"
    "	word=\"${words[CURRENT]}\"\n"
    "	for ((i = 2; i < CURRENT; i++)); do\n"
    "		at=\"${words[i]}\"\n"
    "		if [[ -n $option ]]; then\n"
    "			option=''\n"
    "		elif [[ $at == -* ]]; then\n"
    "			_kante_value \"$command $at\" && option=\"$at\"\n"
    "		else\n"
    "			next=\"${command:+$command }$at\"\n"
    "			if [[ $count == 0 ]] && { _kante_words \"$next\" || _kante_options "
    "\"$next\" }; then\n"
    "				command=\"$next\"\n"
    "			else\n"
    "				rest=\"${rest:+$rest }$at\"\n"
    "				count=$((count + 1))\n"
    "			fi\n"
    "		fi\n"
    "	done\n"
    "	if [[ -z $option && $word == --*=* ]]; then\n"
    "		option=\"${word%%=*}\"\n"
    "		compset -P '*='\n"
    "	fi\n"
    "	reply=()\n"
    "	if [[ -n $option ]]; then\n"
    "		_kante_value \"$command $option\"\n"
    "	elif [[ $word == -* ]]; then\n"
    "		_kante_options \"$command\"\n"
    "	else\n"
    "		[[ $count == 0 ]] && _kante_words \"$command\" ||\n"
    "			_kante_argument \"$command $count\"\n"
    "	fi\n"
    "	[[ $reply[1] == @command ]] && { _kante_words \"$rest\" || reply=() }\n"
    "	case \"$reply[1]\" in\n"
    "	'') return 1 ;;\n"
    "	@file) _files ;;\n"
    "	@dir) _files -/ ;;\n"
    "	*) _describe kante reply ;;\n"
    "	esac\n"
    "}\n"
    "\n"
    "if [[ $funcstack[1] == _kante ]]; then\n"
    "	_kante \"$@\"\n"
    "else\n"
    "	compdef _kante kante\n"
    "fi\n";

static void write_table(struct script *script, const struct commands *all)
{
	write_words(script, all);
	write_options(script, all);
	write_values(script, all);
	write_arguments(script, all);
}

void completion_write_bash(const struct commands *all, FILE *to)
{
	struct script script = {.to = to};

	fputs(bash_head, to);
	write_table(&script, all);
	fputs(bash_tail, to);
}

void completion_write_zsh(const struct commands *all, FILE *to)
{
	struct script script = {.to = to, .is_zsh = true};

	fputs(zsh_head, to);
	write_table(&script, all);
	fputs(zsh_tail, to);
}
