/**
 * A caption as Python reads it from a file: line ends become `\n`, white space at both ends goes. A byte order mark is no
 * white space to Python, so it stays.
 */
export function captionFromFile(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(new RegExp(`^${space}+|${space}+$`, 'g'), '');
}

// JavaScript's \s counts U+FEFF and leaves out the separators U+001C to U+001F and U+0085
const space = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
