export { openPth } from './pth/open-pth.ts';
