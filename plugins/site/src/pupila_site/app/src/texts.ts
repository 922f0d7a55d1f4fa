/** All texts of the page, in each language; `{name}` is filled in. */

const english = {
  title: 'Image check',
  language: 'Language',
  notice: 'Research use only. Not for clinical use: this is not a medical device, and its answer is not a diagnosis.',
  privacy: 'Everything is computed on this device. No image leaves it.',
  tabs: 'Views',
  diagnoseTab: 'Check an image',
  benchmarkTab: 'Speed',
  choose: 'Choose an image',
  drop: 'or drop one here, or paste it',
  camera: 'Use the camera',
  takePhoto: 'Take the photograph',
  closeCamera: 'Close the camera',
  cameraRefused: 'The camera cannot be used: it was not allowed, or there is none. Choose an image instead.',
  model: 'Model',
  loading: 'Loading the model…',
  ready: 'Ready.',
  working: 'Working…',
  noImage: 'The answer will be shown here.',
  image: 'The image, {width} × {height} pixels',
  answer: 'Answer',
  picture: 'Image',
  signs: 'Signs of {positive}',
  noSigns: 'No signs of {positive}',
  score: 'Score',
  scoreFor: 'Score for {name}, from 0 to 100; the threshold is 50',
  scoreNote: 'It shows on which side of the threshold the answer lies, and how far from it. It is not a probability.',
  unfiltered: 'This page cannot tell whether an image is of the kind that the model was made for: it has no filter, and answers for any image.',
  testedOn: 'On {images} test images, at this threshold, with 95 % intervals:',
  sensitivity: 'Sensitivity',
  specificity: 'Specificity',
  accuracy: 'Accuracy',
  auc: 'AUC',
  chosen: 'The threshold was chosen on {images} other images.',
  shipped: 'The threshold ships with the model; it was chosen on {chosenOn}.',
  byPatient: 'The intervals are by patient.',
  byImage: "The intervals are as if every image were another patient's.",
  found: 'Found: {name}',
  notThere: 'Not there: {name}.',
  alwaysFound: 'This model always gives a position: it cannot say that there is none.',
  placedByModel: 'Centre at {x} from the left and {y} from the top; {width} × {height} pixels large.',
  placedByHand: 'By hand: centre at {x} from the left and {y} from the top; {width} × {height} pixels large.',
  ellipse: 'Ellipse around: {name}',
  hint: 'To correct it, drag the ellipse, or click where its centre is. With the keyboard, arrow keys move it (faster with Shift), and + and − change its size.',
  mark: 'Mark it by hand',
  smaller: 'Smaller',
  larger: 'Larger',
  back: "Back to the model's answer",
  crop: 'Crop',
  cropImage: 'The crop, {width} × {height} pixels',
  cropSize: '{width} × {height} pixels: a square with a side of {margin} times the longer axis of the ellipse. What lies beyond the image is black.',
  save: 'Save as PNG',
  testedOnImages: 'On {images} test images, with 95 % intervals:',
  foundFigure: 'Found within one radius',
  withinHalfFigure: 'Within half a radius',
  errorFigure: 'Median error, of the width',
  errorP95Figure: '95th percentile of the error',
  sizeErrorFigure: 'Median error of the size',
  absentFigure: 'Rightly not there',
  kind: 'What the image is',
  isPhotograph: 'Whole photograph',
  isCrop: 'Crop already',
  isOther: 'Something else',
  filterSaid: 'The filter takes the image for: {name}.',
  noFilter: 'This chain has no filter: it cannot tell what an image is, and takes each for a whole photograph.',
  overruled: 'You said otherwise.',
  notCropped: 'It is not cropped again.',
  turnedAway: 'Such images are turned away. If that is wrong, say what the image is.',
  noAnswer: 'No answer.',
  markIt: 'You can mark it by hand.',
  uncropped: 'All of the image, as the classifier gets it.',
  stages: 'Stages',
  stage: 'Stage',
  said: 'Answer',
  ms: 'Time (ms)',
  filterStage: 'Filter',
  locatorStage: 'Locator',
  cropStage: 'Crop',
  classifierStage: 'Classifier',
  stageAnswer: '{name} (score {score})',
  byHand: 'by hand',
  notAsked: 'not asked',
  cropped: '{side} px → {width} × {height}',
  enlarged: 'The photograph is too small: the crop has {side} × {side} pixels in it, and the classifier reads {width} × {height}. A blurred crop can change the answer.',
  notCut: 'all → {width} × {height}',
  tookAll: '{total} ms for all stages, {decode} ms to read the image',
  took: '{model} ms for the model, {decode} ms to read and resize the image',
  runtimeThreads: '{version}, WebAssembly, {threads} threads',
  runtimeOne: '{version}, WebAssembly, 1 thread',
  filter: 'This does not look like an image that the model was made for (the filter gives it a score of {score}, below 50). The answer may mean nothing.',
  heic: 'This browser cannot read HEIC photographs. Save the image as JPEG or PNG, and try again.',
  tooLarge: 'The image has more than 178 million pixels, which is more than this page reads. Make it smaller, and try again.',
  unreadable: 'The file cannot be read as an image: it is damaged, or of a format that this browser does not know.',
  cannotRun: 'The model has an operation that the runtime of this page lacks, and would answer at random: no answer is shown ({reason}).',
  notLoaded: 'The model could not be loaded: {reason}. Load the page again; if that does not help, try another browser.',
  benchmarkHere: 'On this device',
  benchmarkNote: 'Each model answers again and again; three answers are made first and not counted.',
  repeats: 'Answers for each model',
  run: 'Measure',
  measuring: 'Measuring {model}…',
  measured: 'Measured {count} models.',
  name: 'Model',
  size: 'Size (MB)',
  median: 'Median (ms)',
  p95: '95th percentile (ms)',
  warmUp: 'Loading (ms)',
  study: 'In the study',
  studyNote:
    'Milliseconds for one answer, as measured by A. García Perdomo (Universidad de La Laguna, 2023), with TensorFlow.js on WebGL and with tfjs-tflite.',
  device: 'Device',
  phone: 'phone',
  computer: 'PC',
  offline: 'This page now works without a connection too.',
};

type Texts = Readonly<Record<keyof typeof english, string>>;
export type Key = keyof Texts;

const spanish: Texts = {
  title: 'Análisis de imagen',
  language: 'Idioma',
  notice: 'Solo para investigación. No para uso clínico: esto no es un producto sanitario y su respuesta no es un diagnóstico.',
  privacy: 'Todo se calcula en este dispositivo. Ninguna imagen sale de él.',
  tabs: 'Vistas',
  diagnoseTab: 'Analizar una imagen',
  benchmarkTab: 'Velocidad',
  choose: 'Elegir una imagen',
  drop: 'o suéltela aquí, o péguela',
  camera: 'Usar la cámara',
  takePhoto: 'Hacer la fotografía',
  closeCamera: 'Cerrar la cámara',
  cameraRefused: 'No se puede usar la cámara: no se ha permitido o no la hay. Elija una imagen.',
  model: 'Modelo',
  loading: 'Cargando el modelo…',
  ready: 'Listo.',
  working: 'Calculando…',
  noImage: 'La respuesta aparecerá aquí.',
  image: 'La imagen, {width} × {height} píxeles',
  answer: 'Respuesta',
  picture: 'Imagen',
  signs: 'Indicios de {positive}',
  noSigns: 'Sin indicios de {positive}',
  score: 'Puntuación',
  scoreFor: 'Puntuación de {name}, de 0 a 100; el umbral es 50',
  scoreNote: 'Indica a qué lado del umbral está la respuesta, y a qué distancia. No es una probabilidad.',
  unfiltered: 'Esta página no puede saber si una imagen es de las que el modelo conoce: no tiene filtro y responde a cualquier imagen.',
  testedOn: 'Con {images} imágenes de prueba, en este umbral, con intervalos del 95 %:',
  sensitivity: 'Sensibilidad',
  specificity: 'Especificidad',
  accuracy: 'Exactitud',
  auc: 'AUC',
  chosen: 'El umbral se eligió con {images} imágenes distintas.',
  shipped: 'El umbral viene con el modelo; se eligió con: {chosenOn}.',
  byPatient: 'Los intervalos son por paciente.',
  byImage: 'Los intervalos suponen que cada imagen es de otro paciente.',
  found: 'Localizado: {name}',
  notThere: 'No está: {name}.',
  alwaysFound: 'Este modelo siempre da una posición: no puede decir que no la hay.',
  placedByModel: 'Centro al {x} desde la izquierda y al {y} desde arriba; mide {width} × {height} píxeles.',
  placedByHand: 'A mano: centro al {x} desde la izquierda y al {y} desde arriba; mide {width} × {height} píxeles.',
  ellipse: 'Elipse alrededor de: {name}',
  hint: 'Para corregirla, arrastre la elipse o haga clic donde esté el centro. Con el teclado, las flechas la mueven (más rápido con Mayús), y + y − cambian su tamaño.',
  mark: 'Marcar a mano',
  smaller: 'Más pequeña',
  larger: 'Más grande',
  back: 'Volver a la respuesta del modelo',
  crop: 'Recorte',
  cropImage: 'El recorte, {width} × {height} píxeles',
  cropSize: '{width} × {height} píxeles: un cuadrado cuyo lado es {margin} veces el eje mayor de la elipse. Lo que queda fuera de la imagen es negro.',
  save: 'Guardar como PNG',
  testedOnImages: 'Con {images} imágenes de prueba, con intervalos del 95 %:',
  foundFigure: 'Localizado a menos de un radio',
  withinHalfFigure: 'A menos de medio radio',
  errorFigure: 'Error mediano, del ancho',
  errorP95Figure: 'Percentil 95 del error',
  sizeErrorFigure: 'Error mediano del tamaño',
  absentFigure: 'Ausencia acertada',
  kind: 'Qué es la imagen',
  isPhotograph: 'Fotografía completa',
  isCrop: 'Ya es un recorte',
  isOther: 'Otra cosa',
  filterSaid: 'Según el filtro, la imagen es: {name}.',
  noFilter: 'Esta cadena no tiene filtro: no puede saber qué es una imagen, y toma cada una por una fotografía completa.',
  overruled: 'Usted ha dicho otra cosa.',
  notCropped: 'No se vuelve a recortar.',
  turnedAway: 'Estas imágenes se rechazan. Si es un error, indique qué es la imagen.',
  noAnswer: 'Sin respuesta.',
  markIt: 'Puede marcarlo a mano.',
  uncropped: 'Toda la imagen, tal como la recibe el clasificador.',
  stages: 'Etapas',
  stage: 'Etapa',
  said: 'Respuesta',
  ms: 'Tiempo (ms)',
  filterStage: 'Filtro',
  locatorStage: 'Localizador',
  cropStage: 'Recorte',
  classifierStage: 'Clasificador',
  stageAnswer: '{name} (puntuación {score})',
  byHand: 'a mano',
  notAsked: 'no consultada',
  cropped: '{side} px → {width} × {height}',
  enlarged: 'La fotografía es demasiado pequeña: el recorte tiene en ella {side} × {side} píxeles, y el clasificador lee {width} × {height}. Un recorte borroso puede cambiar la respuesta.',
  notCut: 'todo → {width} × {height}',
  tookAll: '{total} ms para todas las etapas, {decode} ms para leer la imagen',
  took: '{model} ms para el modelo, {decode} ms para leer y redimensionar la imagen',
  runtimeThreads: '{version}, WebAssembly, {threads} hilos',
  runtimeOne: '{version}, WebAssembly, 1 hilo',
  filter: 'Esto no parece una imagen de las que el modelo conoce (el filtro le da una puntuación de {score}, por debajo de 50). La respuesta puede no significar nada.',
  heic: 'Este navegador no puede leer fotografías HEIC. Guarde la imagen como JPEG o PNG e inténtelo de nuevo.',
  tooLarge: 'La imagen tiene más de 178 millones de píxeles, más de los que se leen aquí. Redúzcala e inténtelo de nuevo.',
  unreadable: 'El archivo no se puede leer como imagen: está dañado o su formato no lo conoce este navegador.',
  cannotRun: 'El modelo tiene una operación que falta en el entorno de ejecución de esta página y respondería al azar: no se muestra ninguna respuesta ({reason}).',
  notLoaded: 'No se ha podido cargar el modelo: {reason}. Vuelva a cargar la página; si no sirve, pruebe con otro navegador.',
  benchmarkHere: 'En este dispositivo',
  benchmarkNote: 'Cada modelo responde una y otra vez; antes se hacen tres respuestas que no cuentan.',
  repeats: 'Respuestas por modelo',
  run: 'Medir',
  measuring: 'Midiendo {model}…',
  measured: '{count} modelos medidos.',
  name: 'Modelo',
  size: 'Tamaño (MB)',
  median: 'Mediana (ms)',
  p95: 'Percentil 95 (ms)',
  warmUp: 'Carga (ms)',
  study: 'En el estudio',
  studyNote:
    'Milisegundos por respuesta, medidos por A. García Perdomo (Universidad de La Laguna, 2023), con TensorFlow.js en WebGL y con tfjs-tflite.',
  device: 'Dispositivo',
  phone: 'móvil',
  computer: 'PC',
  offline: 'Esta página ya funciona también sin conexión.',
};

export const LANGUAGES = { en: english as Texts, es: spanish } as const;
export type Language = keyof typeof LANGUAGES;

let current: Language = navigator.languages.map(languageOf).find((code) => code !== null) ?? 'en';
const listeners: (() => void)[] = [];

function languageOf(tag: string): Language | null {
  const code = tag.slice(0, 2).toLowerCase();
  return code === 'en' || code === 'es' ? code : null;
}

export const language = () => current;

export function switchTo(other: Language): void {
  current = other;
  for (const listener of listeners) listener();
}

/** Call `draw` now, and again whenever the language changes. */
export function inEveryLanguage(draw: () => void): void {
  listeners.push(draw);
  draw();
}

export function text(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return LANGUAGES[current][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export function percent(value: number): string {
  return new Intl.NumberFormat(current, { style: 'percent', maximumFractionDigits: 1 }).format(value);
}

/** Three significant digits of a percentage. */
export function finePercent(value: number): string {
  return new Intl.NumberFormat(current, { style: 'percent', maximumSignificantDigits: 3 }).format(value);
}

export function decimal(value: number, digits = 1): string {
  return new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(value);
}

/** Three significant digits, however large or small. */
export function figures(value: number): string {
  return new Intl.NumberFormat(current, { maximumSignificantDigits: 3 }).format(value);
}
