//! What a node makes of one element, or of two. Defined once, in double precision with the Rust crate `libm`, so that a
//! table made of it has the same bits on every machine.

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// |x|
    Abs,
    /// −x
    Neg,
    /// −1, 0 or 1
    Sign,
    /// The greatest whole number not above x
    Floor,
    /// The least whole number not below x
    Ceil,
    /// The nearest whole number, of two the even one
    Round,
    /// √x
    Sqrt,
    /// 1 ÷ √x
    Rsqrt,
    /// 1 ÷ x
    Reciprocal,
    /// eˣ
    Exp,
    /// The natural logarithm
    Log,
    /// Sine
    Sin,
    /// Cosine
    Cos,
    /// Tangent
    Tan,
    /// Arc sine
    Asin,
    /// Arc cosine
    Acos,
    /// Arc tangent
    Atan,
    /// Hyperbolic sine
    Sinh,
    /// Hyperbolic cosine
    Cosh,
    /// Hyperbolic tangent
    Tanh,
    /// Inverse hyperbolic sine
    Asinh,
    /// Inverse hyperbolic cosine
    Acosh,
    /// Inverse hyperbolic tangent
    Atanh,
    /// The error function
    Erf,
    /// 1 ÷ (1 + e⁻ˣ)
    Sigmoid,
    /// log(1 + eˣ)
    Softplus,
    /// x ÷ (1 + |x|)
    Softsign,
    /// x × sigmoid(x), also called SiLU
    Swish,
    /// x × clamp(x + 3, 0, 6) ÷ 6
    HardSwish,
    /// x × (1 + erf(x ÷ √2)) ÷ 2
    Gelu,
    /// The same with tanh(√(2/π) × (x + 0.044715 x³)) in place of erf
    GeluTanh,
    /// x × tanh(softplus(x))
    Mish,
    /// 1 where x is 0, elsewhere 0
    Not,
    /// x, below 0 the parameter × x
    LeakyRelu(f32),
    /// x, below 0 the parameter × (eˣ − 1)
    Elu(f32),
    /// x, below 0 a × (e^(x ÷ a) − 1)
    Celu(f32),
    /// The second × (x, below 0 the first × (eˣ − 1))
    Selu(f32, f32),
    /// clamp(the first × x + the second, 0, 1)
    HardSigmoid(f32, f32),
    /// x where it is above the parameter, elsewhere 0
    Threshold(f32),
    /// With the first λ and the second β: x + β below −λ, x − β above λ, elsewhere 0
    Shrink(f32, f32),
    /// x to the power of the parameter
    Power(f32),
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a × b
    Mul,
    /// a ÷ b
    Div,
    /// The lesser
    Min,
    /// The greater
    Max,
    /// a to the power of b; f32 only
    Power,
    /// What is left of a ÷ b, with the sign of b; f32 only
    Modulo,
    /// What is left of a ÷ b, with the sign of a; f32 only
    Remainder,
    /// a where it is not below 0, elsewhere a × b
    Prelu,
    /// 1 where a = b, elsewhere 0; f32 only, as those below
    Equal,
    /// 1 where a < b, elsewhere 0
    Less,
    /// 1 where a ≤ b, elsewhere 0
    LessEqual,
    /// 1 where neither is 0, elsewhere 0
    And,
    /// 1 where one is not 0, elsewhere 0
    Or,
    /// 1 where exactly one is not 0, elsewhere 0
    Xor,
}

impl Pair {
    /// In the order of their codes, from 0.
    pub const ALL: [Self; 16] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Min,
        Self::Max,
        Self::Power,
        Self::Modulo,
        Self::Remainder,
        Self::Prelu,
        Self::Equal,
        Self::Less,
        Self::LessEqual,
        Self::And,
        Self::Or,
        Self::Xor,
    ];

    /// Whether int8 nodes can do it.
    #[must_use]
    pub const fn is_int8(self) -> bool {
        use Pair::{Add, Div, Max, Min, Mul, Prelu, Sub};
        matches!(self, Add | Sub | Mul | Div | Min | Max | Prelu)
    }

    /// Its value.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "it is what is asked for")]
    pub fn apply(self, a: f32, b: f32) -> f32 {
        let truth = |yes: bool| f32::from(u8::from(yes));
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min => {
                if a.is_nan() {
                    a
                } else {
                    a.min(b)
                }
            }
            Self::Max => {
                if a.is_nan() {
                    a
                } else {
                    a.max(b)
                }
            }
            Self::Power => libm::powf(a, b),
            Self::Modulo => {
                let left = libm::fmodf(a, b);
                if left != 0.0 && (left < 0.0) != (b < 0.0) { left + b } else { left }
            }
            Self::Remainder => libm::fmodf(a, b),
            Self::Prelu => {
                if a >= 0.0 {
                    a
                } else {
                    a * b
                }
            }
            Self::Equal => truth(a == b),
            Self::Less => truth(a < b),
            Self::LessEqual => truth(a <= b),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::Xor => truth((a != 0.0) != (b != 0.0)),
        }
    }
}

impl Function {
    /// Those without parameters, in the order of their codes, from 0.
    pub const PLAIN: [Self; 33] = [
        Self::Abs,
        Self::Neg,
        Self::Sign,
        Self::Floor,
        Self::Ceil,
        Self::Round,
        Self::Sqrt,
        Self::Rsqrt,
        Self::Reciprocal,
        Self::Exp,
        Self::Log,
        Self::Sin,
        Self::Cos,
        Self::Tan,
        Self::Asin,
        Self::Acos,
        Self::Atan,
        Self::Sinh,
        Self::Cosh,
        Self::Tanh,
        Self::Asinh,
        Self::Acosh,
        Self::Atanh,
        Self::Erf,
        Self::Sigmoid,
        Self::Softplus,
        Self::Softsign,
        Self::Swish,
        Self::HardSwish,
        Self::Gelu,
        Self::GeluTanh,
        Self::Mish,
        Self::Not,
    ];

    /// The parameters, 0 where there is none.
    #[must_use]
    pub const fn parameters(self) -> [f32; 2] {
        match self {
            Self::LeakyRelu(a)
            | Self::Elu(a)
            | Self::Celu(a)
            | Self::Threshold(a)
            | Self::Power(a) => [a, 0.0],
            Self::Selu(a, b) | Self::HardSigmoid(a, b) | Self::Shrink(a, b) => [a, b],
            _ => [0.0; 2],
        }
    }

    /// Its value, rounded to f32 once.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the one rounding that is meant")]
    pub fn apply(self, x: f32) -> f32 {
        self.exact(f64::from(x)) as f32
    }

    fn exact(self, x: f64) -> f64 {
        use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
        let below = |below: f64| if x < 0.0 { below } else { x };
        match self {
            Self::Abs => x.abs(),
            Self::Neg => -x,
            Self::Sign => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            Self::Floor => libm::floor(x),
            Self::Ceil => libm::ceil(x),
            Self::Round => x.round_ties_even(),
            Self::Sqrt => libm::sqrt(x),
            Self::Rsqrt => 1.0 / libm::sqrt(x),
            Self::Reciprocal => 1.0 / x,
            Self::Exp => libm::exp(x),
            Self::Log => libm::log(x),
            Self::Sin => libm::sin(x),
            Self::Cos => libm::cos(x),
            Self::Tan => libm::tan(x),
            Self::Asin => libm::asin(x),
            Self::Acos => libm::acos(x),
            Self::Atan => libm::atan(x),
            Self::Sinh => libm::sinh(x),
            Self::Cosh => libm::cosh(x),
            Self::Tanh => libm::tanh(x),
            Self::Asinh => libm::asinh(x),
            Self::Acosh => libm::acosh(x),
            Self::Atanh => libm::atanh(x),
            Self::Erf => libm::erf(x),
            Self::Sigmoid => sigmoid(x),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Swish => x * sigmoid(x),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Gelu => 0.5 * x * (1.0 + libm::erf(x * FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = libm::sqrt(FRAC_2_PI) * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(inner))
            }
            Self::Mish => x * libm::tanh(softplus(x)),
            Self::Not => f64::from(u8::from(x == 0.0)),
            Self::LeakyRelu(a) => below(f64::from(a) * x),
            Self::Elu(a) => below(f64::from(a) * libm::expm1(x)),
            Self::Celu(a) => below(f64::from(a) * libm::expm1(x / f64::from(a))),
            Self::Selu(a, scale) => f64::from(scale) * below(f64::from(a) * libm::expm1(x)),
            Self::HardSigmoid(slope, shift) => {
                (f64::from(slope) * x + f64::from(shift)).clamp(0.0, 1.0)
            }
            Self::Threshold(a) => {
                if x > f64::from(a) {
                    x
                } else {
                    0.0
                }
            }
            Self::Shrink(lambda, shift) => shrink(x, f64::from(lambda), f64::from(shift)),
            Self::Power(a) => libm::pow(x, f64::from(a)),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

fn shrink(x: f64, lambda: f64, shift: f64) -> f64 {
    if x < -lambda {
        x + shift
    } else if x > lambda {
        x - shift
    } else {
        0.0
    }
}
