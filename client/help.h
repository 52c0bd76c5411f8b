/* What --help prints. */
#pragma once

/* `verb` NULL: the command as a whole. */
void help_print(const char *verb);
