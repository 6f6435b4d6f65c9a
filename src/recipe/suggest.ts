export { distance, nearest } from '../formats/suggest.ts';
