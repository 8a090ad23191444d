import { expect, test } from 'vitest';

import { captionFromFile } from './python-text.ts';

// str.strip of what open(…, encoding="utf-8").read() gives in Python 3.11
test.each([
  ['  a cat \r\n', 'a cat'],
  ['a\r\nb\rc\n', 'a\nb\nc'],
  ['\u001c\u0085\u00a0\u2003a\u3000', 'a'],
  ['\ufeffa', '\ufeffa'],
  ['\u200ba\u200b', '\u200ba\u200b'],
  [' \n\t ', ''],
])('%j is %j', (text, caption) => {
  expect(captionFromFile(text)).toBe(caption);
});
