import { text } from './part.js';

window.shown = [];
const show = (it) => {
  window.shown.push(it);
  document.querySelector('h1').textContent = it;
};
show(text);
import.meta.hot.accept('./part.js', (part) => show(part.text));
import.meta.hot.send('page:shown');
