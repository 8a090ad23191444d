import { mojibakeCategories as kinds } from './character-kinds.ts';

const {
  common,
  c1,
  bad,
  law,
  currency,
  startPunctuation: start,
  endPunctuation: end,
  numeric,
  kaomoji,
  upperAccented: upper,
  lowerAccented: lower,
  upperCommon,
  lowerCommon,
  box,
} = kinds;
const accented = lower + upper;

/**
 * Pairs and short runs of characters that hardly occur in text but often in mojibake: the heuristic of ftfy 6.3.1
 * (Robyn Speer, Apache License 2.0). Which runs count decides what is repaired, so they are exactly those of ftfy.
 */
const unlikelyRuns = [
  `[${c1}]`,
  `[${bad}${accented}${box}${start}${end}${currency}${numeric}${law}][${bad}]`,
  `[a-zA-Z][${lowerCommon}${upperCommon}][${bad}]`,
  `[${bad}][${accented}${box}${start}${end}${currency}${numeric}${law}]`,
  `[${lower}${lowerCommon}${box}${end}${currency}${numeric}][${upper}]`,
  `[${box}${end}${currency}${numeric}][${lower}]`,
  `[${lower}${box}${end}][${currency}]`,
  `[\\s\\u001c-\\u001f\\u0085][${upper}][${currency}]`,
  `[${upper}${box}][${numeric}${law}]`,
  `[${accented}${box}${currency}${end}][${start}][${numeric}]`,
  `[${accented}${currency}${numeric}${box}${law}][${end}][${start}]`,
  `[${currency}${numeric}${box}][${start}]`,
  `[a-z][${upper}][${start}${currency}]`,
  `[${box}][${kaomoji}]`,
  `[${accented}${currency}${numeric}${start}${end}${law}][${box}]`,
  `[${box}][${end}]`,
  `[${accented}][${start}${end}][\\p{L}\\p{N}_]`,
  '[Œœ][^A-Za-z]', // the ligature before anything but a Latin letter
  `[${upper}]°`,
  `[ÂÃÎÐ][€œŠš¢£Ÿž\\u00a0\\u00ad®©°·»${start}${end}–—´]`, // Windows-1252
  '×[²³]',
  `(?:[ØÙ][${common}${currency}${bad}${numeric}${start}ŸŠ®°µ»]){2}`, // Arabic in Windows-1252
  'à[²µ¹¼½¾]', // South Asian scripts in Windows-1252
  '√[±∂†≠®™´≤≥¥µø]', // Mac Roman
  '≈[°¢]',
  '‚Ä[ìîïòôúùû†°¢π]',
  '‚[âó][àä°ê]',
  'вЂ', // Windows-1251: punctuation, then Latin-1 and Cyrillic
  `[ВГРС][${c1}${bad}${start}${end}${currency}°µ][ВГРС]`,
  'ГўВЂВ[^\\n][A-Za-z ]',
  'Ã[\\u00a0¡]', // à and á in Windows-1252, and byte A0 that became a space
  '[a-z][\\s\\u001c-\\u001f\\u0085]?[ÃÂ][ ]',
  '^[ÃÂ][ ]',
  `[a-z.,?!${end}]Â[ ${start}${end}]`,
  'β€[™\\u00a0Ά\\u00ad®°]', // Windows-1253: punctuation, then Latin-1 and Greek
  `[ΒΓΞΟ][${c1}${bad}${start}${end}${currency}°][ΒΓΞΟ]`,
  'ā€', // Windows-1257
];

const unlikely = new RegExp(unlikelyRuns.join('|'), 'u');

/** Whether some of the text looks as if it had been decoded with the wrong encoding. */
export function isBad(text: string): boolean {
  return unlikely.test(text);
}
