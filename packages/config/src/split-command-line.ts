/**
 * Splits a text into the words of a command line as shells do: quotes hold words together, a backslash (POSIX), a caret
 * (Windows) or a backtick (PowerShell) at the end of a line continues it. A backslash elsewhere stays, so that Windows paths
 * need no quotes, unless a quote, a space or another backslash follows it.
 */
export function splitCommandLine(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote: '"' | "'" | null = null;
  const joined = text.replaceAll(/[\\^`][ \t]*\r?\n/g, ' ');
  for (let position = 0; position < joined.length; position++) {
    const char = joined.charAt(position);
    const next = joined.charAt(position + 1);
    if (char === '\\' && quote !== "'" && /["'\\ ]/.test(next) && !(next === '\\' && word === null)) {
      word = (word ?? '') + next;
      position++;
    } else if (quote !== null) {
      if (char === quote) quote = null;
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== null) words.push(word);
  return words;
}
