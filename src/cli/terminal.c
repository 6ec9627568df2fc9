/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#define CTRL_C           0x03
#define ESCAPE_BYTES_MAX 10 /* "\U0001f600" */

uint32_t terminal_width(FILE *to)
{
	struct winsize size;

	if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

bool terminal_wants_colour(FILE *to)
{
	const char *no_colour = getenv("NO_COLOR");

	return isatty(fileno(to)) && (no_colour == NULL || no_colour[0] == '\0');
}

bool terminal_is_utf8(void)
{
	locale_t user = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool is_utf8;

	if (user == (locale_t)0)
		return false;
	is_utf8 = strcmp(nl_langinfo_l(CODESET, user), "UTF-8") == 0;
	freelocale(user);
	return is_utf8;
}

/* Most text is, and needs no locale. */
static bool is_plain(const char *text, size_t length)
{
	size_t i = 0;

	while (i < length && text[i] >= ' ' && text[i] < 0x7f)
		i++;
	return i == length;
}

/* Text is UTF-8 whatever the user's locale is: nodes say nothing else. */
static locale_t enter_utf8(locale_t *ret_before)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

	*ret_before = uselocale(utf8);
	return utf8;
}

static void leave_utf8(locale_t utf8, locale_t before)
{
	uselocale(before);
	if (utf8 != (locale_t)0)
		freelocale(utf8);
}

/* Marks that a reader does not see, though they may turn around what he reads. */
static bool is_hidden(wchar_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* The character at `text`, and its bytes. 0: there is none that could be shown, but one byte. */
static size_t take_character(const char *text, size_t length, wchar_t *ret_character)
{
	mbstate_t state = {0};
	size_t bytes = mbrtowc(ret_character, text, length, &state);

	return bytes == (size_t)-1 || bytes == (size_t)-2 ? 0 : bytes;
}

static int write_escape(char *to, wchar_t c)
{
	switch (c) {
	case '\n': return sprintf(to, "\\n");
	case '\t': return sprintf(to, "\\t");
	case '\r': return sprintf(to, "\\r");
	default:
		return sprintf(to,
		               c < 0x80      ? "\\x%02x"
		               : c < 0x10000 ? "\\u%04x"
		                             : "\\U%08x",
		               (unsigned)c);
	}
}

char *terminal_bytes(const char *bytes, size_t length, bool keeps_lines)
{
	locale_t before, utf8;
	char *shown, *at;

	if (is_plain(bytes, length))
		return strndup(bytes, length);
	shown = malloc(length * ESCAPE_BYTES_MAX + 1);
	at = shown;
	if (shown == NULL)
		return NULL;
	utf8 = enter_utf8(&before);
	for (size_t i = 0; i < length;) {
		wchar_t c = L'\0';
		size_t used = take_character(bytes + i, length - i, &c);

		if (used == 0) {
			at += sprintf(at, "\\x%02x", (unsigned)(unsigned char)bytes[i]);
			used = 1;
		} else if ((c == '\n' && keeps_lines) || (iswprint((wint_t)c) && !is_hidden(c))) {
			memcpy(at, bytes + i, used);
			at += used;
		} else {
			at += write_escape(at, c);
		}
		i += used;
	}
	*at = '\0';
	leave_utf8(utf8, before);
	return shown;
}

char *terminal_text(const char *text, bool keeps_lines)
{
	return terminal_bytes(text, strlen(text), keeps_lines);
}

uint32_t terminal_columns(const char *text, uint32_t columns_max, size_t *ret_bytes)
{
	locale_t before, utf8;
	uint32_t columns = 0;
	const char *at = text;

	if (is_plain(text, strlen(text))) {
		*ret_bytes = strnlen(text, columns_max);
		return (uint32_t)*ret_bytes;
	}
	utf8 = enter_utf8(&before);
	while (*at != '\0') {
		wchar_t c = L'\0';
		size_t bytes = take_character(at, strlen(at), &c);
		int width = bytes == 0 ? 1 : wcwidth(c);

		if (width < 0)
			width = 0;
		if (columns + (uint32_t)width > columns_max)
			break;
		columns += (uint32_t)width;
		at += bytes == 0 ? 1 : bytes;
	}
	leave_utf8(utf8, before);
	*ret_bytes = (size_t)(at - text);
	return columns;
}

bool terminal_confirm(const char *format, ...)
{
	char answer[16] = "";
	va_list arguments;

	if (!isatty(STDIN_FILENO))
		return true;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("? [y/N] ", stderr);
	fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		fputc('\n', stderr);
	answer[strcspn(answer, "\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

/* Reads up to the end of a line, byte by byte: nothing of it stays in a buffer. */
static int read_line(int fd, char *ret_text, size_t text_bytes)
{
	size_t length = 0;

	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && length == 0)
			return -EPIPE;
		if (n == 0 || c == '\n')
			break;
		if (c == '\0')
			return -EINVAL;
		if (c == CTRL_C && isatty(fd))
			return -ECANCELED;
		if (length + 1 == text_bytes)
			return -E2BIG;
		ret_text[length++] = c;
	}
	ret_text[length] = '\0';
	return 0;
}

int terminal_read_secret(char *ret_text, size_t text_bytes, const char *prompt)
{
	struct termios before, quiet;
	int r;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return read_line(STDIN_FILENO, ret_text, text_bytes);
	quiet = before;
	/* Ctrl-C ends the line and is read, else it would leave the terminal without its echo */
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	quiet.c_cc[VEOL] = CTRL_C;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) < 0)
		return -errno;
	fputs(prompt, stderr);
	fflush(stderr);
	r = read_line(STDIN_FILENO, ret_text, text_bytes);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return r;
}
