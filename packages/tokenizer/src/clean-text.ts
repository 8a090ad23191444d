import { fixText } from './ftfy/fix-text.ts';
import { unescapeHtml } from './ftfy/html-entities.ts';

/**
 * A caption as musubi-tuner brings it to Wan's tokenizer: broken Unicode put right as by ftfy, HTML character
 * references decoded twice, every run of white space one space, none at the ends.
 *
 * @param text Any string; lone surrogates become U+FFFD.
 */
export function cleanText(text: string): string {
  return unescapeHtml(unescapeHtml(fixText(text)))
    .replace(whiteSpace, ' ')
    .replace(/^ | $/g, '');
}

/** What Unicode calls White_Space: JavaScript's `\s` without U+FEFF, with U+0085. */
const whiteSpace = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;
