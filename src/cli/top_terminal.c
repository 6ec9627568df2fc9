/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_terminal.h"

#include "cli/terminal.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

#define CONTROL(letter) ((letter)&0x1f)

struct top_terminal {
	SCREEN *curses;
	attr_t looks[SCREEN_STYLE_COUNT];
};

/* With NO_COLOR, and where there is no colour, what is loud is still seen. */
static void choose_looks(struct top_terminal *terminal)
{
	bool wants_colour = terminal_wants_colour(stdout);
	attr_t bold = wants_colour ? A_BOLD : A_NORMAL;

	terminal->looks[SCREEN_HEAD] = A_REVERSE;
	terminal->looks[SCREEN_HEADING] = bold;
	terminal->looks[SCREEN_VALUE] = bold;
	terminal->looks[SCREEN_LOUD] = A_REVERSE | bold;
	if (!wants_colour || !has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(1, COLOR_GREEN, -1);
	init_pair(2, COLOR_RED, -1);
	init_pair(3, COLOR_WHITE, COLOR_RED);
	terminal->looks[SCREEN_BAR] = COLOR_PAIR(1);
	terminal->looks[SCREEN_BAR_HIGH] = COLOR_PAIR(2);
	terminal->looks[SCREEN_LOUD] = COLOR_PAIR(3) | A_BOLD;
}

/* newterm() would say so, too, but forgets memory then. */
static bool is_known(void)
{
	int error;

	if (setupterm(NULL, STDOUT_FILENO, &error) == ERR)
		return false;
	del_curterm(cur_term);
	return true;
}

int top_terminal_open(struct top_terminal **ret_terminal)
{
	struct top_terminal *terminal;

	if (!is_known())
		return -ENOTTY;
	terminal = calloc(1, sizeof(*terminal));
	if (terminal == NULL)
		return -ENOMEM;
	setlocale(LC_CTYPE, ""); /* ncurses goes by it */
	terminal->curses = newterm(NULL, stdout, stdin);
	if (terminal->curses == NULL) {
		free(terminal);
		return -ENOTTY;
	}
	raw(); /* Ctrl-C is a key: it comes while the node is asked, too */
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	curs_set(0);
	choose_looks(terminal);
	*ret_terminal = terminal;
	return 0;
}

void top_terminal_close(struct top_terminal *terminal)
{
	if (terminal == NULL)
		return;
	endwin();
	delscreen(terminal->curses);
	free(terminal);
}

void top_terminal_size(const struct top_terminal *terminal, uint32_t *ret_rows,
                       uint32_t *ret_columns)
{
	*ret_rows = (uint32_t)getmaxy(stdscr);
	*ret_columns = (uint32_t)getmaxx(stdscr);
}

void top_terminal_show(struct top_terminal *terminal, const struct screen *screen)
{
	erase();
	for (uint32_t i = 0; i < screen->count; i++) {
		const struct screen_piece *piece = &screen->pieces[i];

		attrset((int)terminal->looks[piece->style]);
		mvaddstr((int)piece->row, (int)piece->column, piece->text);
	}
	attrset(A_NORMAL);
	refresh();
}

enum top_key top_terminal_key(struct top_terminal *terminal, uint32_t wait_ms)
{
	timeout((int)wait_ms);
	switch (getch()) {
	case 'q':
	case 'Q':
	case CONTROL('c'): return TOP_KEY_QUIT;
	case 'p':
	case ' ': return TOP_KEY_PAUSE;
	case 'h':
	case '?': return TOP_KEY_HELP;
	case '+': return TOP_KEY_SLOWER;
	case '-': return TOP_KEY_FASTER;
	case KEY_RESIZE: return TOP_KEY_RESIZED;
	case CONTROL('l'): clearok(stdscr, TRUE); return TOP_KEY_RESIZED;
	case CONTROL('z'):
		raise(SIGTSTP); /* ncurses gives the terminal back for that time */
		return TOP_KEY_RESIZED;
	default: return TOP_KEY_NONE;
	}
}
