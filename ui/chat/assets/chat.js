// What a visitor does becomes events; what belongs together lights up. `element` and `trigger` are Gradio's.
const EVENTS = ['photos', 'example', 'references', 'person', 'face', 'show', 'evaluate', 'sample', 'ask', 'stop', 'report', 'feedback', 'remove'];
const TYPES = ['image/jpeg', 'image/png', 'image/webp'];
const MOST_BYTES = 10_000_000, MOST_PHOTOS = 4, LONG = 60_000;
const said = element.querySelector('#fw-words').dataset;
const local = element.querySelector('.local'), offline = element.querySelector('.offline');
const root = () => document.getElementById('fw');
const composer = () => document.querySelector('.composer');
let attached = [], given = [], turn = null, looking = '', picked = [], following = false, since = 0;

function complain(words) {
  [local.querySelector('b').textContent, local.querySelector('span').textContent] = words ? words.split('|') : ['', ''];
  local.hidden = !words;
  if (words) local.scrollIntoView({ block: 'nearest' });
}

async function alive() {
  try {
    offline.hidden = (await fetch('/healthz', { cache: 'no-store' })).ok;
  } catch {
    offline.hidden = false;
  }
  if (!offline.hidden) {
    delete root().dataset.sent;
    offline.scrollIntoView({ block: 'nearest' });
  }
  return offline.hidden;
}
setInterval(() => root().dataset.sent && Date.now() - since > LONG && complain(said.busy), 4000);
setInterval(() => (root().querySelector('[data-running]') || root().dataset.sent || !offline.hidden) && alive(), 4000);

async function send(name, data = {}) {
  complain('');
  since = Date.now();
  if (name !== 'stop' && name !== 'report') root().dataset.sent = name;
  if (EVENTS.includes(name) && (await alive())) trigger(name, data);
}

function refused(files) {
  const fault = files.length > MOST_PHOTOS ? said.many : files.some((f) => !TYPES.includes(f.type)) ? said.type : files.some((f) => f.size > MOST_BYTES) ? said.size : '';
  complain(fault);
  return fault !== '';
}

async function post(file) {
  const answer = await fetch('/chat/upload', { method: 'POST', body: file });
  if (!answer.ok) throw new Error(answer.statusText);
  const { name } = await answer.json();
  given.push(name);
  return name;
}

async function uploaded(files) {
  [root().dataset.sent, since] = ['upload', Date.now()];
  try {
    return await Promise.all(files.map(post));
  } catch {
    delete root().dataset.sent;
    if (await alive()) complain(said.upload);
  }
}

function attach(files) {
  attached = files;
  const line = composer().querySelector('.attached');
  line.hidden = !files.length;
  line.querySelector('span').textContent = said.attached.replace('{count}', files.length);
}

async function take(what, files) {
  const chosen = [...(files ?? [])];
  if (!chosen.length) return;
  for (const old of document.querySelectorAll('#fw-note .notice')) old.hidden = true;
  if (!(await alive()) || refused(chosen)) return;
  if (what === 'attach') {
    attach(chosen);
    composer().querySelector('textarea').focus();
    return;
  }
  const photos = await uploaded(chosen);
  if (!photos) return;
  const asked = root().querySelector('[name=asked]');
  send(what, { photos, question: asked.value });
  if (what === 'photos') asked.value = '';
}

const forms = {
  async ask(form) {
    const question = form.elements.question.value.trim();
    if (!question || root().dataset.sent === 'upload' || root().querySelector('[data-running]')) return;
    const photos = attached.length ? await uploaded(attached) : [];
    if (!photos) return;
    following = true;
    send('ask', { question, turn, photos });
    form.reset();
    attach([]);
    turn = null;
  },
  feedback(form) {
    const data = new FormData(form);
    send('feedback', { reasons: data.getAll('reasons'), comment: data.get('comment'), consent: data.has('consent') });
    form.closest('details').open = false;
  },
};

const acts = {
  retry: (button, data) => send('ask', { turn: data.turn, question: '' }),
  edit(button, data) {
    turn = data.turn;
    const field = composer().elements.question;
    field.value = button.closest('.question').querySelector('bdi').textContent;
    field.focus();
  },
  suggest(button) {
    composer().elements.question.value = button.textContent;
    composer().requestSubmit();
  },
  detach: () => attach([]),
  remove() {
    attach([]);
    send('remove', { photos: given.splice(0) });
  },
  async copy(button) {
    const copied = button.closest('.tools').previousElementSibling.closest('[data-copy]') ?? button.closest('section').querySelector('[data-copy]');
    await navigator.clipboard.writeText([...copied.querySelectorAll('bdi')].map((one) => one.textContent).join(' '));
    const before = button.textContent;
    button.textContent = button.dataset.said;
    setTimeout(() => (button.textContent = before), 1500);
  },
};

// Pointing lights up; choosing brings the picture and the list to it.
const ids = (one) => one.dataset.ids.split(' ').filter(Boolean);
function light(event) {
  const at = (event.type === 'focusout' ? event.relatedTarget : event.target)?.closest?.('#fw [data-ids]');
  mark(at ? ids(at) : picked);
}
function mark(wanted) {
  for (const one of root().querySelectorAll('[data-ids]')) one.classList.toggle('lit', ids(one).some((id) => wanted.includes(id)));
}
function show(wanted) {
  const views = [...root().querySelectorAll('.views input')];
  const shows = (input) => input.dataset.about.split(' ').some((id) => wanted.includes(id));
  const view = views.find((input) => input.checked && shows(input)) ?? views.find(shows) ?? views[0];
  if (view) [view.checked, looking] = [true, view.value];
}
function choose(at) {
  const wanted = (picked = ids(at));
  mark(wanted);
  show(wanted);
  const row = [...root().querySelectorAll('.evidence .item')].find((one) => wanted.includes(ids(one)[0]));
  if (!row || row.contains(at)) return;
  row.closest('details').open = true;
  row.classList.add('found');
  setTimeout(() => row.classList.remove('found'), 1600);
  const list = document.getElementById('fw-left');
  if (list.scrollHeight > list.clientHeight + 1) list.scrollTo({ top: row.offsetTop - list.clientHeight + row.offsetHeight + 90, behavior: 'smooth' });
}

for (const type of ['pointerover', 'focusin', 'focusout']) document.addEventListener(type, light);
document.addEventListener('click', (event) => {
  const button = event.target.closest('#fw [data-do]');
  const cited = event.target.closest('#fw [data-choose]');
  if (!cited && !event.target.closest('.views')) picked = [];
  if (button) {
    const data = JSON.parse(button.dataset.with ?? '{}');
    (acts[button.dataset.do] ?? ((_, given) => send(button.dataset.do, given)))(button, data);
    button.closest('details.menu')?.removeAttribute('open');
  } else if (cited) choose(cited);
});
document.addEventListener('submit', (event) => {
  const form = event.target.closest('#fw [data-form]');
  if (form) (event.preventDefault(), forms[form.dataset.form](form));
});
document.addEventListener('change', (event) => {
  const { dataset, files, value } = event.target;
  if (dataset?.upload) (take(dataset.upload, [...files]), (event.target.value = ''));
  else if (event.target.name === 'fw-view') looking = value;
  else if (dataset?.send) send(dataset.send, { value });
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.target.name === 'question') {
    event.preventDefault();
    event.target.form.requestSubmit();
  } else if (event.key === 'Escape') document.querySelector('#fw details.menu[open]')?.removeAttribute('open');
});
document.addEventListener('paste', (event) => take('photos', event.clipboardData?.files));
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  root().dataset.dragged = '';
});
document.addEventListener('dragleave', (event) => event.relatedTarget || delete root().dataset.dragged);
document.addEventListener('drop', (event) => {
  event.preventDefault();
  delete root().dataset.dragged;
  take(event.target.closest?.('[data-drop]')?.dataset.drop ?? 'photos', event.dataTransfer.files);
});
new MutationObserver((changes) => {
  if (changes.every((one) => element.contains(one.target))) return;
  delete root().dataset.sent;
  const file = document.querySelector('#fw-file a[data-bytes]');
  if (file) {
    const bytes = Uint8Array.from(atob(file.dataset.bytes), (c) => c.charCodeAt(0));
    delete file.dataset.bytes;
    file.href = URL.createObjectURL(new Blob([bytes], { type: file.dataset.type }));
    file.click();
  }
  const answer = document.querySelector('.turn:last-child .answer .claim');
  if (following) document.querySelector('.turn:last-child')?.scrollIntoView({ block: 'nearest' });
  if (following && answer && !root().querySelector('[data-running]')) {
    following = false;
    if (ids(answer).length) show(ids(answer));
  }
  const views = [...root().querySelectorAll('.views input')];
  const view = views.find((one) => one.value === looking) ?? views[0];
  if (view) view.checked = true;
}).observe(root(), { childList: true, subtree: true, attributes: true, attributeFilter: ['data-bytes', 'aria-pressed', 'data-with', 'value'] });
