/** An element of the page. */
export function byId(id: string): HTMLElement;
export function byId<E extends Element>(id: string, type: new () => E): E;
export function byId(id: string, type: new () => Element = HTMLElement): Element {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${id}.`);
}

export const valueOf = (id: string): string => (byId(id) as HTMLInputElement | HTMLSelectElement).value.trim();

export function item(...content: (string | Node)[]): HTMLLIElement {
  const element = document.createElement('li');
  element.append(...content);
  return element;
}
