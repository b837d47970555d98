// Boost.URL compiled once, here, with its own warnings off.
#include <boost/url/src.hpp>
