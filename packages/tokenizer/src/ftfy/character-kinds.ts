// The facts in these tables are those of ftfy 6.3.1 (Robyn Speer, Apache License 2.0), written as ranges of characters.

/**
 * Kinds of characters that appear in text decoded with the wrong encoding, as contents of a regular expression's class.
 * Which kinds stand next to each other tells mojibake from text, see `badness.ts`.
 */
export const mojibakeCategories = {
  common: '\u00a0\u00ad´·–—―’…',
  c1: '\u0080-\u009f',
  bad: '¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\ufffd',
  law: '§¶',
  currency: '¢£¥₧€',
  startPunctuation: '¡©«¿΄΅‘‚“„•‹\uf8ff',
  endPunctuation: '®»˝”›™',
  numeric: '±²³µ¹¼½¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥',
  kaomoji: '°Ò-ÖÙ-Üò-öø-üŌŐŪŲ',
  upperAccented: 'À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ',
  lowerAccented: 'ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ',
  upperCommon: 'ÞΆΈΉΊΌΎΏΑ-ΫЁ-Я',
  lowerCommon: 'ά-ωа-џ',
  box: '│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓',
} as const;

/**
 * Characters that the first and the following bytes of UTF-8 become in one of the encodings of `code-pages.ts`, as contents of
 * a class. A space stands for byte A0, which many programs replace; `continuationStrict` lacks what is common beside mojibake.
 */
export const utf8Clues = {
  firstOf2: 'Â-ßĀĂĆČĎĐĒĖĘĚĞĢĪİĶĹĻŁŃŅŇŌŐŘŚŞŠŢŪŮŰŲŹŻŽΒ-ΡΣ-ίВ-Я',
  firstOf3: 'à-ïāăąćčďēėęěģīįķĺļŕźΰ-οа-п',
  firstOf4: 'ðóđğšπσру',
  continuation: ' \u0080-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ–—―‘’‚“”„†‡•…‰‹›€№™',
  continuationStrict: '\u0080-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™',
} as const;
